/* The emulated cuBLASLt. See cublasLt.h. */
#include "cublasLt.h"

#include <vector>

#include "cuda_bf16.h"

/* A product before it is scaled and rounded: (columns, rows), of lines of `depth` numbers. */
struct multiplied {
    std::vector<float> left, right;
    uint64_t depth;
    std::vector<double> sums;
};

/* What was multiplied last, matrix by matrix of a batch: who measures algorithms asks for the same product a dozen times. */
struct emulated_handle {
    std::vector<multiplied> last;
};

struct emulated_product {
    cublasComputeType_t compute;
    cublasOperation_t a, b;
    const float *bias;
    cublasLtEpilogue_t epilogue;
};

struct emulated_matrix {
    cudaDataType_t type;
    uint64_t rows, columns;
    int64_t stride;
    int32_t batch; /* matrices, `offset` elements from one to the next */
    int64_t offset;
};

struct emulated_preference {
    uint32_t alignment[5];
};

const char *cublasLtGetStatusString(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_NOT_SUPPORTED ? "not supported" : "invalid value";
}

size_t cublasLtGetVersion() { return 120304; }

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    *handle = new emulated_handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out, cublasComputeType_t compute, cudaDataType_t)
{
    *out = new emulated_product{compute, CUBLAS_OP_N, CUBLAS_OP_N, nullptr, CUBLASLT_EPILOGUE_DEFAULT};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t product)
{
    delete product;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t name,
                                              const void *value, size_t bytes)
{
    switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA: memcpy(&product->a, value, bytes); break;
    case CUBLASLT_MATMUL_DESC_TRANSB: memcpy(&product->b, value, bytes); break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE: memcpy(&product->epilogue, value, bytes); break;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: memcpy(&product->bias, value, bytes); break;
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType_t type, uint64_t rows,
                                          uint64_t columns, int64_t stride)
{
    if (rows == 0 || columns == 0 || stride < (int64_t)rows) return CUBLAS_STATUS_INVALID_VALUE;
    *out = new emulated_matrix{type, rows, columns, stride, 1, 0};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t matrix, cublasLtMatrixLayoutAttribute_t name,
                                                const void *value, size_t bytes)
{
    if (name == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT)
        memcpy(&matrix->batch, value, bytes);
    else
        memcpy(&matrix->offset, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t matrix)
{
    delete matrix;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out)
{
    *out = new emulated_preference{};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    delete preference;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t name, const void *value,
                                                    size_t bytes)
{
    if (name != CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) memcpy(&preference->alignment[name], value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

/* Two algorithms that round differently, so that choosing is tried and shows; data[1] to [3] hold the alignments promised,
 * which cublasLtMatmul checks, data[4] how it rounds. */
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t preference, int most,
                                              cublasLtMatmulHeuristicResult_t *found, int *count)
{
    *count = most < 2 ? most : 2;
    for (int i = 0; i < *count; i++) {
        found[i] = {};
        found[i].algo.data[0] = 0xCB1A5u;
        for (int k = 1; k <= 3; k++) found[i].algo.data[k] = preference->alignment[k];
        found[i].algo.data[4] = (uint64_t)i;
    }
    return CUBLAS_STATUS_SUCCESS;
}

/* To TF32, 10 bits behind the point, to nearest. */
static float rounded(float value, cublasComputeType_t compute)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (compute == CUBLAS_COMPUTE_32F_FAST_TF32 && value == value) bits = (bits + 0x1000) & ~0x1FFFu;
    memcpy(&value, &bits, sizeof bits);
    return value;
}

/* The bytes from the first to matrix number `number` of a batch. */
static size_t begin_of(const emulated_matrix &m, int32_t number)
{
    return (size_t)number * (size_t)m.offset * (m.type == CUDA_R_16BF ? 2 : 4);
}

/* The matrix as lines of `depth` numbers each: rows, or columns with `across`. */
static std::vector<float> lines(const void *data, const emulated_matrix &m, bool across, cublasComputeType_t compute)
{
    uint64_t count = across ? m.columns : m.rows, depth = across ? m.rows : m.columns;
    std::vector<float> out(count * depth);
    for (uint64_t i = 0; i < count; i++)
        for (uint64_t k = 0; k < depth; k++) {
            uint64_t at = across ? k + i * (uint64_t)m.stride : i + k * (uint64_t)m.stride;
            float value = m.type == CUDA_R_16BF ? __bfloat162float(((const __nv_bfloat16 *)data)[at])
                                                : ((const float *)data)[at];
            out[i * depth + k] = rounded(value, compute);
        }
    return out;
}

static double dot(const float *a, const float *b, uint64_t count)
{
    double sum[4] = {0, 0, 0, 0};
    uint64_t k = 0;
    for (; k + 4 <= count; k += 4)
        for (int i = 0; i < 4; i++) sum[i] += (double)a[k + i] * (double)b[k + i];
    for (; k < count; k++) sum[0] += (double)a[k] * (double)b[k];
    return sum[0] + sum[1] + (sum[2] + sum[3]);
}

static bool same(const std::vector<float> &a, const std::vector<float> &b)
{
    return a.size() == b.size() && memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/* The sums of matrix `number`, known already where its operands have not changed. */
static const std::vector<double> &multiply(emulated_handle *handle, size_t number, std::vector<float> &left,
                                           std::vector<float> &right, uint64_t depth)
{
    if (handle->last.size() <= number) handle->last.resize(number + 1);
    multiplied &m = handle->last[number];
    if (m.depth == depth && same(m.left, left) && same(m.right, right)) return m.sums;
    uint64_t rows = left.size() / depth, columns = right.size() / depth;
    m.left.swap(left);
    m.right.swap(right);
    m.depth = depth;
    m.sums.resize(rows * columns);
    for (uint64_t j = 0; j < columns; j++)
        for (uint64_t i = 0; i < rows; i++) m.sums[i + j * rows] = dot(&m.left[i * depth], &m.right[j * depth], depth);
    return m.sums;
}

/* To nearest, or towards zero. */
static float narrowed(double value, bool towards_zero)
{
    float nearest = (float)value;
    if (!towards_zero || !(fabs((double)nearest) > fabs(value))) return nearest;
    uint32_t bits;
    memcpy(&bits, &nearest, sizeof bits);
    bits--; /* sign and magnitude: the next one towards zero, of another number than zero */
    memcpy(&nearest, &bits, sizeof bits);
    return nearest;
}

static bool aligned(const void *pointer, uint64_t alignment) { return alignment && (uintptr_t)pointer % alignment == 0; }

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t product, const void *alpha, const void *a,
                              cublasLtMatrixLayout_t a_layout, const void *b, cublasLtMatrixLayout_t b_layout,
                              const void *beta, const void *, cublasLtMatrixLayout_t, void *d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algorithm, void *, size_t,
                              cudaStream_t stream)
{
    emulated_product p = *product;
    emulated_matrix first = *a_layout, second = *b_layout, result = *d_layout;
    uint64_t depth = p.a == CUBLAS_OP_T ? first.rows : first.columns;
    uint64_t rows = p.a == CUBLAS_OP_T ? first.columns : first.rows;
    uint64_t columns = p.b == CUBLAS_OP_T ? second.rows : second.columns;
    if (first.batch != result.batch || second.batch != result.batch || rows != result.rows || columns != result.columns || first.type != second.type ||
        depth != (p.b == CUBLAS_OP_T ? second.columns : second.rows) || algorithm->data[0] != 0xCB1A5u || algorithm->data[4] > 1 ||
        !aligned(a, algorithm->data[1]) || !aligned(b, algorithm->data[2]) || !aligned(d, algorithm->data[3]))
        return CUBLAS_STATUS_INVALID_VALUE;
    float scale = *(const float *)alpha, keep = *(const float *)beta;
    bool towards_zero = algorithm->data[4] == 1;
    emulated_enqueue(stream, [=] {
        for (int32_t number = 0; number < result.batch; number++) {
            const char *from_a = (const char *)a + begin_of(first, number);
            const char *from_b = (const char *)b + begin_of(second, number);
            std::vector<float> left = lines(from_a, first, p.a == CUBLAS_OP_T, p.compute);
            std::vector<float> right = lines(from_b, second, p.b == CUBLAS_OP_N, p.compute);
            const std::vector<double> &sums = multiply(handle, (size_t)number, left, right, depth);
            float *matrix = (float *)((char *)d + begin_of(result, number));
            for (uint64_t j = 0; j < columns; j++)
                for (uint64_t i = 0; i < rows; i++) {
                    float *to = matrix + i + j * (uint64_t)result.stride;
                    double value = scale * sums[i + j * rows];
                    if (keep != 0) value += (double)keep * *to;
                    value += p.epilogue == CUBLASLT_EPILOGUE_BIAS ? (double)p.bias[i] : 0;
                    *to = narrowed(value, towards_zero);
                }
        }
    });
    return CUBLAS_STATUS_SUCCESS;
}
