# make            build/cyclegan
# make test       installs the Debian packages that are missing, builds, runs the tests
# make demo       the same packages; translates, trains a little, leaves a contact sheet
# make bench-scaling  the same as the work grows: by side, batch, threads, size of the data set
# make check-cuda   tests of the CUDA backend on this machine's GPU; needs gcc, make and nvcc, no other library
# make bench-cuda   its training steps and translations timed, beside PyTorch where there is one
# make check-arrivals   kernels as racecheck sees them (src/nn/cuda/bulk.h), on the emulated device
# make lint       compiler warnings as errors, cppcheck, the include table
# make fuzz       SECONDS=20 TARGET=image (all): libFuzzer with clang over tests/fuzz
# make bench      times training and translation, beside PyTorch where there is one
# make configuration   docs/configuration.md from the program's tables
# make install    PREFIX=/usr/local
# Variables: CC, CFLAGS, SANITIZE=address,undefined (builds into build/sanitize), WERROR=1; CUDA=0 (no GPU),
# CUDA_ARCH="80 90"
CC ?= cc
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
BUILD := build$(if $(SANITIZE),/sanitize)
WARNINGS := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wvla $(if $(WERROR),-Werror)
SANITIZER := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)
ALL_CFLAGS = -std=c11 -D_POSIX_C_SOURCE=200809L $(CFLAGS) $(WARNINGS) $(SANITIZER) -fopenmp -Isrc -MMD -MP
LDLIBS := -ldnnl -lyaml -ljansson -lpng -ljpeg -lwebpmux -lwebp -lm -lpthread -ldl

# Kernels under src/nn/cpu/kernels are built once for each instruction set; the backend chooses when it starts.
# -ffp-contract=fast gives multiply-adds, -fno-math-errno vector square roots; never -ffast-math: NaN checks would stop.
# Under sanitizers -O1: their checks make gcc take minutes over the vectorised loops.
KERNEL_CFLAGS := $(if $(SANITIZE),-O1,-O3) -ffp-contract=fast -fno-math-errno
ISAS := base $(if $(filter x86_64,$(shell uname -m)),v3 v4)
ISA_base :=
ISA_v3 := -march=x86-64-v3
ISA_v4 := -march=x86-64-v4 -mprefer-vector-width=512
# Winograd's once more with products in bf16.
ISA_bf16 := $(ISA_v4) -mavx512bf16 -DWINOGRAD_BF16
# conv_tiles* with products of tiles, and with plain loops in their place, for tests on any machine.
ISA_amx := $(ISA_v4) -mavx512bf16 -mamx-tile -mamx-bf16 -DCPU_AMX
ISA_plain :=

SOURCES := $(sort $(shell find src -name '*.c' -not -path 'src/nn/cpu/kernels/*'))
TILE_KERNELS := $(sort $(wildcard src/nn/cpu/kernels/conv_tiles*.c))
KERNELS := $(filter-out $(TILE_KERNELS),$(sort $(wildcard src/nn/cpu/kernels/*.c)))
BF16_KERNELS := $(filter src/nn/cpu/kernels/winograd%,$(KERNELS))
KERNEL_OBJECTS := $(foreach isa,$(ISAS),$(KERNELS:%.c=$(BUILD)/%.$(isa).o)) $(TILE_KERNELS:%.c=$(BUILD)/%.plain.o) \
    $(if $(filter x86_64,$(shell uname -m)),$(BF16_KERNELS:%.c=$(BUILD)/%.bf16.o) $(TILE_KERNELS:%.c=$(BUILD)/%.amx.o))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(KERNEL_OBJECTS)
LIBRARY := $(BUILD)/libcyclegan.a
MAIN := $(BUILD)/src/cli/main.o
TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(sort $(shell find tests -name 'test_*.c' -not -path 'tests/cuda/*')))

# The CUDA backend is a module that the program opens when there is a driver: CUDA=0 leaves it out.
NVCC ?= $(shell command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null)
CUDA ?= $(if $(and $(NVCC),$(if $(SANITIZE),,1)),1,0)
CUDA_ARCH ?= 80 90
CUDA_SOURCES := $(sort $(wildcard src/nn/cuda/*.cu))
CUDA_OBJECTS := $(CUDA_SOURCES:%.cu=$(BUILD)/%.o)
MODULE := $(if $(filter 1,$(CUDA)),$(BUILD)/cyclegan-cuda.so)
CUDA_WARNINGS := -Wall,-Wextra,-Wno-missing-field-initializers
NVCC_FLAGS = -std=c++17 -O3 -g -lineinfo -fmad=true $(if $(WERROR),-Werror all-warnings) \
    -Xcompiler -fPIC,-fvisibility=hidden,$(CUDA_WARNINGS) -Isrc \
    $(if $(filter 90,$(CUDA_ARCH)),-DCUDA_GROUPS) $(CUDA_DEFINES) \
    $(foreach arch,$(CUDA_ARCH:90=90a),-gencode arch=compute_$(arch),code=sm_$(arch)) \
    -gencode arch=compute_$(lastword $(CUDA_ARCH)),code=compute_$(lastword $(CUDA_ARCH))

all: $(BUILD)/cyclegan $(MODULE)

$(BUILD)/cyclegan: $(MAIN) $(LIBRARY)
	$(CC) $(ALL_CFLAGS) -rdynamic -o $@ $^ $(LDLIBS)

$(LIBRARY): $(filter-out $(MAIN),$(OBJECTS))
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/src/nn/cuda/%.o: src/nn/cuda/%.cu
	@mkdir -p $(@D)
	$(NVCC) $(NVCC_FLAGS) -MMD -MP -c -o $@ $<

# What it takes from base and nn (errors, names) are the program's own, which is linked with -rdynamic for it.
$(BUILD)/cyclegan-cuda.so: $(CUDA_OBJECTS)
	$(NVCC) -shared -cudart static -o $@ $^ -lcublasLt -Xlinker -rpath,$(patsubst %/bin/nvcc,%/lib64,$(realpath $(NVCC)))

define kernel_rule
$(BUILD)/src/nn/cpu/kernels/%.$(1).o: src/nn/cpu/kernels/%.c
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_CFLAGS) $$(KERNEL_CFLAGS) $$(ISA_$(1)) -DCPU_ISA=$(1) -c -o $$@ $$<
endef
$(foreach isa,$(ISAS) bf16 amx plain,$(eval $(call kernel_rule,$(isa))))

$(BUILD)/tests/%: tests/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Itests -o $@ $< $(LIBRARY) $(LDLIBS)

# The CUDA backend without a GPU: its sources, compiled for the host against an emulated device, under tests of the
# engine and of training that were written for the CPU's.
EMULATED_CFLAGS = -std=c++17 -DCUDA_GROUPS $(CFLAGS) -Wall -Wextra -Wno-missing-field-initializers -Wno-unknown-pragmas \
    $(if $(WERROR),-Werror) $(SANITIZER) -Itests/cuda/emulated -Isrc -MMD -MP
EMULATED := $(CUDA_SOURCES:%.cu=$(BUILD)/emulated/%.o) $(BUILD)/tests/cuda/emulated/runtime.o $(BUILD)/tests/cuda/emulated/tensor.o \
    $(BUILD)/tests/cuda/emulated/bulk.o $(BUILD)/tests/cuda/emulated/blas.o $(BUILD)/tests/cuda/create.o
CUDA_TESTS := nn/test_torch_ops nn/test_gradients nn/test_program nn/test_prepack nn/test_fusion gan/test_torch_training gan/test_cyclegan \
    gan/test_choices gan/test_overlap models/test_torch_networks \
    translate/test_batch translate/test_folder style/test_loss style/test_feedforward
CUDA_TESTS := $(CUDA_TESTS:%=$(BUILD)/tests/cuda/%)

emulated: $(EMULATED)

$(BUILD)/emulated/%.o: %.cu
	@mkdir -p $(@D)
	$(CXX) $(EMULATED_CFLAGS) -x c++ -c -o $@ $<

$(BUILD)/tests/cuda/emulated/%.o: tests/cuda/emulated/%.cc
	@mkdir -p $(@D)
	$(CXX) $(EMULATED_CFLAGS) -c -o $@ $<

$(BUILD)/tests/cuda/%: tests/%.c $(EMULATED) $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MT $@ -Itests -Dnn_cpu_create=nn_cuda_test_create -c -o $@.o $<
	$(CXX) $(SANITIZER) -fopenmp -o $@ $@.o $(EMULATED) $(LIBRARY) $(LDLIBS)

include tests/cuda/check.mk

packages:
	@tools/packages.sh

# Packages first, in a make of its own: what is found after them may differ.
test: packages
	@$(MAKE) --no-print-directory all tests
	@tests/run.sh $(TESTS) $(CUDA_TESTS)

tests: $(TESTS) $(CUDA_TESTS)

demo: packages
	@$(MAKE) --no-print-directory all
	@tools/demo.sh

$(BUILD)/bench/%: bench/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $< $(LIBRARY) $(LDLIBS)

bench: $(BUILD)/bench/bench all
	@bench/compare.py $<

bench-scaling: $(BUILD)/bench/bench all
	@bench/scaling.py $<

# Parsing needs no kernels, and clang comes without OpenMP: pragmas it does not know are passed over.
SECONDS ?= 20
FUZZ_CC ?= clang
FUZZ_CFLAGS = -std=c11 -D_POSIX_C_SOURCE=200809L -O1 -g -Wall -Wextra -Wno-unknown-pragmas -Isrc -Itests -MMD -MP
FUZZ_OBJECTS := $(patsubst %.c,build/fuzz/%.o,$(filter-out src/cli/% src/nn/cpu/%,$(SOURCES)))

build/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -c -o $@ $<

build/fuzz/libcyclegan.a: $(FUZZ_OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $^

build/fuzz/fuzz: tests/fuzz/driver.c build/fuzz/libcyclegan.a
	$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ $(filter %.c %.a,$^) $(LDLIBS)

fuzz: build/fuzz/fuzz
	@tests/fuzz/run.sh $< $(SECONDS) $(TARGET)

lint:
	@tools/lint.sh

configuration: all
	@tools/configuration.sh $(BUILD)/cyclegan >docs/configuration.md.new && mv docs/configuration.md.new docs/configuration.md

install: all
	install -D -m 755 $(BUILD)/cyclegan $(DESTDIR)$(PREFIX)/bin/cyclegan
	$(if $(MODULE),install -D -m 755 $(MODULE) $(DESTDIR)$(PREFIX)/lib/cyclegan/cyclegan-cuda.so)

clean:
	rm -rf build


.PHONY: bench-scaling all packages test tests emulated demo bench fuzz lint configuration install clean
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
