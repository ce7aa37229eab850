# The checks of the CUDA backend (tests/cuda/check_*.c): under `make test` on the emulated device, under
# `make check-cuda` on the machine's GPU, which `make bench-cuda` measures. The latter two need gcc, nvcc and make, and
# none of the other libraries: plain convolutions stand for oneDNN's.
CUDA_CHECKS := check_ops check_pictures check_moments check_transfers check_effects check_networks check_steps check_choices
TESTS += $(CUDA_CHECKS:%=$(BUILD)/tests/cuda/%)

# What needs another library is left out; what of the rest refers to it is never called, and dropped by the linker.
ENGINE_SOURCES := $(filter-out src/nn/cpu/onednn% src/nn/safetensors_%, $(sort $(wildcard \
    src/base/*.c src/nn/*.c src/nn/ops/*.c src/nn/cpu/*.c src/nn/cuda/*.c))) tests/cuda/plain_conv.c
ENGINE_OBJECTS := $(ENGINE_SOURCES:%.c=$(BUILD)/%.o) $(filter $(BUILD)/src/nn/cpu/kernels/%,$(OBJECTS))
MODEL_SOURCES := $(sort $(wildcard src/models/*.c)) $(filter-out src/gan/options.c src/gan/start.c src/gan/train.c, \
    $(sort $(wildcard src/gan/*.c))) src/training/memory.c src/training/update.c
GPU_LIBRARY := $(BUILD)/libengine.a
GPU_PROGRAMS := $(addprefix $(BUILD)/,$(CUDA_CHECKS) check_module bench_gpu)

$(GPU_LIBRARY): $(ENGINE_OBJECTS) $(MODEL_SOURCES:%.c=$(BUILD)/%.o)
	@rm -f $@
	$(AR) rcs $@ $^

# By name, since the pattern of other tests fits these too. Linked with what a machine with a GPU links, so that a source
# missing there is missed here; but nothing is dropped, so that safetensors' files are needed.
SAFETENSORS_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard src/nn/safetensors_*.c))
$(CUDA_CHECKS:%=$(BUILD)/tests/cuda/%): $(BUILD)/tests/cuda/%: tests/cuda/%.c $(EMULATED) $(GPU_LIBRARY) $(SAFETENSORS_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MT $@ -Itests -c -o $@.o $<
	$(CXX) $(SANITIZER) -fopenmp -o $@ $@.o $(EMULATED) $(SAFETENSORS_OBJECTS) $(GPU_LIBRARY) $(LDLIBS)

# A machine with such a GPU has AVX2, if it is an x86: the plain convolutions take half as long.
build/gpu/tests/cuda/plain_conv.o build/race/tests/cuda/plain_conv.o: \
    ALL_CFLAGS += $(if $(filter v3,$(ISAS)),$(ISA_v3) -ffp-contract=fast)

NVCC_LINK = $(NVCC) -cudart static -Xlinker -rpath,$(patsubst %/bin/nvcc,%/lib64,$(realpath $(NVCC))) \
    -Xlinker --gc-sections

$(CUDA_CHECKS:%=$(BUILD)/%): $(BUILD)/%: tests/cuda/%.c $(GPU_LIBRARY) $(CUDA_OBJECTS)
	$(CC) $(ALL_CFLAGS) -MT $@ -Itests -c -o $@.o $<
	$(NVCC_LINK) -o $@ $@.o $(CUDA_OBJECTS) $(GPU_LIBRARY) -lcublasLt -lgomp -lm -lpthread -ldl

$(BUILD)/check_module: tests/cuda/check_module.c $(ENGINE_OBJECTS) $(BUILD)/cyclegan-cuda.so
	$(CC) $(ALL_CFLAGS) -Itests -rdynamic -o $@ $< $(ENGINE_OBJECTS) -lm -lpthread -ldl

$(BUILD)/bench_gpu: bench/gpu/bench.c $(GPU_LIBRARY) $(CUDA_OBJECTS)
	$(CC) $(ALL_CFLAGS) -I$(patsubst %/bin/nvcc,%/include,$(realpath $(NVCC))) -c -o $@.o $<
	$(NVCC_LINK) -o $@ $@.o $(CUDA_OBJECTS) $(GPU_LIBRARY) -lcublasLt -lgomp -lm -lpthread -ldl

gpu-programs: $(GPU_PROGRAMS)

# Into build/gpu, every function in a section of its own, so that the linker can drop it.
GPU_MAKE = $(MAKE) --no-print-directory BUILD=build/gpu CFLAGS='-O2 -g -ffunction-sections -fdata-sections'

build-cuda:
	@$(if $(NVCC),,echo "make: nvcc is not found; NVCC=... names it" >&2; exit 1)
	+@$(GPU_MAKE) gpu-programs

# As racecheck can follow it (src/nn/cuda/bulk.h), into build/race.
race-programs: $(addprefix $(BUILD)/,check_ops check_pictures check_moments)

build-race:
	+@$(GPU_MAKE) BUILD=build/race CUDA_DEFINES=-DCUDA_EACH_ARRIVES race-programs

check-cuda: build-cuda $(if $(filter all,$(CHECK_RACES)),build-race)
	@tests/cuda/check.sh build/gpu build/race

bench-cuda: build-cuda
	@bench/gpu/compare.py build/gpu/bench_gpu

# Barriers at which every thread arrives, as for racecheck, on the emulated device.
check-arrivals:
	+@$(MAKE) --no-print-directory BUILD=build/each CUDA=0 CFLAGS='-O2 -g -DCUDA_EACH_ARRIVES' build/each/tests/cuda/check_ops
	@CHECK_LITTLE=1 build/each/tests/cuda/check_ops wide_convolutions
	@build/each/tests/cuda/check_ops strided_convolutions_in_large_blocks

.PHONY: gpu-programs race-programs build-cuda build-race check-cuda bench-cuda check-arrivals
