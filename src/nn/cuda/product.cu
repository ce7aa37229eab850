/* cuBLASLt's matrices are column-major, so its c^T = op(b)^T op(a)^T is asked for: a and b change places. */
#include "nn/cuda/product.h"

#include <string.h>

#include "nn/cuda/choices.h"

/* cuBLASLt's descriptions of one product. */
struct description {
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t first, second, result; /* its a, b, c and d */
};

static void destroy(description *d)
{
    if (d->product) cublasLtMatmulDescDestroy(d->product);
    if (d->first) cublasLtMatrixLayoutDestroy(d->first);
    if (d->second) cublasLtMatrixLayoutDestroy(d->second);
    if (d->result) cublasLtMatrixLayoutDestroy(d->result);
}

static cublasStatus_t set(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t name, const void *value,
                          size_t bytes)
{
    return cublasLtMatmulDescSetAttribute(product, name, value, bytes);
}

#define TRY_BLAS(call)                                                                                                \
    do {                                                                                                              \
        cublasStatus_t code_ = (call);                                                                                \
        if (code_ != CUBLAS_STATUS_SUCCESS) return code_;                                                             \
    } while (0)

/* A matrix of (rows, columns), row-major and perhaps transposed, as cuBLASLt sees it: columns first. */
static cublasStatus_t describe_matrix(cublasLtMatrixLayout_t *out, cudaDataType_t type, bool transposed, size_t rows,
                                      size_t columns, size_t stride)
{
    return cublasLtMatrixLayoutCreate(out, type, transposed ? rows : columns, transposed ? columns : rows,
                                      (int64_t)stride);
}

static cublasStatus_t describe_batch(cublasLtMatrixLayout_t matrix, size_t batch, size_t stride)
{
    int32_t count = (int32_t)batch;
    int64_t offset = (int64_t)stride;
    if (batch < 2) return CUBLAS_STATUS_SUCCESS;
    TRY_BLAS(cublasLtMatrixLayoutSetAttribute(matrix, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count));
    return cublasLtMatrixLayoutSetAttribute(matrix, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &offset, sizeof offset);
}

static cublasStatus_t describe(const cuda_product *p, description *d)
{
    cublasComputeType_t compute = p->operands == CUDA_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    cudaDataType_t type = p->operands == CUDA_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    cublasOperation_t first = p->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                      second = p->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    TRY_BLAS(cublasLtMatmulDescCreate(&d->product, compute, CUDA_R_32F));
    TRY_BLAS(set(d->product, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first));
    TRY_BLAS(set(d->product, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second));
    if (p->bias) {
        cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
        TRY_BLAS(set(d->product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
        TRY_BLAS(set(d->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p->bias, sizeof p->bias));
    }
    TRY_BLAS(describe_matrix(&d->first, type, p->transpose_b, p->k, p->n, p->ldb));
    TRY_BLAS(describe_matrix(&d->second, type, p->transpose_a, p->m, p->k, p->lda));
    TRY_BLAS(describe_matrix(&d->result, CUDA_R_32F, false, p->m, p->n, p->ldc));
    TRY_BLAS(describe_batch(d->first, p->batch, p->stride_b));
    TRY_BLAS(describe_batch(d->second, p->batch, p->stride_a));
    return describe_batch(d->result, p->batch, p->stride_c);
}

/* The largest power of two up to 64 that divides an address: kernels with wide loads need 16. Not more, or the same product
 * would be measured again wherever the arena puts it. */
static uint32_t alignment_of(const void *pointer)
{
    uintptr_t address = (uintptr_t)pointer | 64;
    return (uint32_t)(address & -address);
}

static cuda_choice_key key_of(const cuda_product *p)
{
    cuda_choice_key key;
    memset(&key, 0, sizeof key);
    key.m = p->m, key.n = p->n, key.k = p->k;
    key.lda = p->lda, key.ldb = p->ldb, key.ldc = p->ldc;
    key.batch = p->batch, key.stride_a = p->stride_a, key.stride_b = p->stride_b, key.stride_c = p->stride_c;
    key.alignment[0] = alignment_of(p->a), key.alignment[1] = alignment_of(p->b), key.alignment[2] = alignment_of(p->c);
    key.kind = (uint32_t)p->operands | (uint32_t)p->transpose_a << 4 | (uint32_t)p->transpose_b << 5 |
               (uint32_t)(p->bias != NULL) << 6;
    return key;
}

static cublasStatus_t multiply(cuda_backend *cuda, const cuda_product *p, const description *d,
                               const cublasLtMatmulAlgo_t *algorithm)
{
    return cublasLtMatmul(cuda->lt, d->product, &p->alpha, p->b, d->first, p->a, d->second, &p->beta, p->c, d->result,
                          p->c, d->result, algorithm, cuda->lt_workspace, CUDA_LT_WORKSPACE, cuda->stream);
}

enum { REPETITIONS = 5 };

/* Up to cuda->algorithms of them, the library's favourite first. */
static cublasStatus_t candidates(cuda_backend *cuda, const description *d, const cuda_choice_key *key,
                                 cublasLtMatmulHeuristicResult_t found[CUDA_ALGORITHMS], int *count)
{
    cublasLtMatmulPreference_t preference;
    uint64_t workspace = CUDA_LT_WORKSPACE;
    TRY_BLAS(cublasLtMatmulPreferenceCreate(&preference));
    cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                         sizeof workspace);
    const cublasLtMatmulPreferenceAttributes_t names[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    for (int i = 0; i < 4; i++)
        cublasLtMatmulPreferenceSetAttribute(preference, names[i], &key->alignment[i < 2 ? i : 2], sizeof(uint32_t));
    cublasStatus_t code = cublasLtMatmulAlgoGetHeuristic(cuda->lt, d->product, d->first, d->second, d->result,
                                                         d->result, preference, (int)cuda->algorithms, found, count);
    cublasLtMatmulPreferenceDestroy(preference);
    return code;
}

/* Milliseconds of some repetitions, or a negative number where the algorithm does not work. The result is overwritten
 * each time, so beta must be 0. */
static float milliseconds(cuda_backend *cuda, const cuda_product *p, const description *d,
                          const cublasLtMatmulAlgo_t *algorithm, cudaEvent_t begin, cudaEvent_t end)
{
    float time = -1;
    if (multiply(cuda, p, d, algorithm) != CUBLAS_STATUS_SUCCESS) return -1; /* and warms up */
    bool good = cudaEventRecord(begin, cuda->stream) == cudaSuccess;
    for (int i = 0; i < REPETITIONS && good; i++) good = multiply(cuda, p, d, algorithm) == CUBLAS_STATUS_SUCCESS;
    good = good && cudaEventRecord(end, cuda->stream) == cudaSuccess && cudaEventSynchronize(end) == cudaSuccess;
    return good && cudaEventElapsedTime(&time, begin, end) == cudaSuccess ? time : -1;
}

static int fastest(cuda_backend *cuda, const cuda_product *p, const description *d,
                   const cublasLtMatmulHeuristicResult_t *found, int count)
{
    cudaEvent_t begin, end;
    int best = 0;
    float least = -1;
    if (cudaEventCreate(&begin) != cudaSuccess) return 0;
    if (cudaEventCreate(&end) == cudaSuccess) {
        for (int i = 0; i < count; i++) {
            float time = milliseconds(cuda, p, d, &found[i].algo, begin, end);
            if (time >= 0 && (least < 0 || time < least)) {
                best = i;
                least = time;
            }
        }
        cudaEventDestroy(end);
    }
    cudaEventDestroy(begin);
    return best;
}

/* Which of the proposals is this algorithm, or -1. */
static int proposed(const cublasLtMatmulHeuristicResult_t *found, int count, const cublasLtMatmulAlgo_t *algorithm)
{
    for (int i = 0; i < count; i++)
        if (memcmp(&found[i].algo, algorithm, sizeof *algorithm) == 0) return i;
    return -1;
}

/* The algorithm for this shape: the one kept; else one that was taken and is proposed; else measured; all three are kept.
 * Else, where measuring is not possible (a recording is made, or the product adds to its result), the library's
 * favourite. */
static cublasStatus_t choose(cuda_backend *cuda, const cuda_product *p, const description *d,
                             cublasLtMatmulAlgo_t *algorithm)
{
    bool wish;
    cuda_choice chosen;
    chosen.key = key_of(p);
    const cuda_choice *known = cuda_choices_find(cuda->choices, &chosen.key, &wish);
    if (known && !wish) {
        *algorithm = known->algorithm;
        return CUBLAS_STATUS_SUCCESS;
    }
    cublasLtMatmulHeuristicResult_t found[CUDA_ALGORITHMS];
    int count = 0;
    memset(found, 0, sizeof found); /* what the library leaves alone is compared and stored too */
    TRY_BLAS(candidates(cuda, d, &chosen.key, found, &count));
    if (count == 0) return CUBLAS_STATUS_NOT_SUPPORTED;
    int number = known ? proposed(found, count, &known->algorithm) : -1;
    bool measures = number < 0 && p->beta == 0 && !cuda->recording, keeps = number >= 0 || measures;
    if (number < 0) number = measures && count > 1 ? fastest(cuda, p, d, found, count) : 0;
    *algorithm = chosen.algorithm = found[number].algo;
    if (keeps) cuda_choices_keep(cuda, &chosen);
    return CUBLAS_STATUS_SUCCESS;
}

void cuda_multiply_matrices(const nn_call *call, const cuda_product *p)
{
    cuda_backend *cuda = cuda_of(call);
    cublasLtMatmulAlgo_t algorithm;
    description d = {};
    const char *what = nn_op_name(call->op);
    if (cuda_note_blas(cuda, what, "cublasLtMatmulDescCreate", describe(p, &d)) &&
        cuda_note_blas(cuda, what, "cublasLtMatmulAlgoGetHeuristic", choose(cuda, p, &d, &algorithm)))
        cuda_note_blas(cuda, what, "cublasLtMatmul", multiply(cuda, p, &d, &algorithm));
    destroy(&d);
}
