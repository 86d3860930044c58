"""The C99 text of each operator: integer adds, multiplies and shifts, and nothing else.

Activations are uint8 (the int8 code plus 128), so that pixels enter as they are. Right shifts are made on
unsigned integers: C99 leaves the shift of a negative one to the compiler.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

LAYER = """\
typedef struct {
    int height, width, channels;
    int out_height, out_width, out_channels;
    int kernel_height, kernel_width;
    int stride_y, stride_x, dilation_y, dilation_x;
    int top, left;
    int zero_in, zero_out, low, high;
    const int8_t *weights;
    const int32_t *bias;
    const uint8_t *shifts;
} layer_t;
"""

REQUANTIZE = """\
/* floor((a + 2^(s-1)) / 2^s) without shifting a negative number; a + 2^(s-1) fits 32 bits, as certified. */
static uint8_t requantize(int32_t a, unsigned s, const layer_t *layer)
{
    uint32_t raised = (uint32_t)a + 0x80000000u + ((uint32_t)1 << (s - 1u));
    int32_t code = (int32_t)(raised >> s) - (int32_t)(0x80000000u >> s) + layer->zero_out;
    if (code < layer->low) code = layer->low;
    if (code > layer->high) code = layer->high;
    return (uint8_t)code;
}
"""

DOT = """\
static int32_t dot(const uint8_t *x, const int8_t *w, int count, int zero)
{
    int32_t sum = 0;
    int i;
    if (zero == 0) {
        for (i = 0; i < count; i++) sum += (int32_t)x[i] * w[i];
    } else {
        for (i = 0; i < count; i++) sum += ((int32_t)x[i] - zero) * w[i];
    }
    return sum;
}
"""

CONV = """\
/* Gathers each window once, so that every output channel is one long sum; padding counts as real 0. */
static void conv(const uint8_t *in, uint8_t *out, const layer_t *l, uint8_t *window)
{
    int y, x, o, ky, kx, c;
    int size = l->kernel_height * l->kernel_width * l->channels;
    for (y = 0; y < l->out_height; y++) {
        for (x = 0; x < l->out_width; x++) {
            const int8_t *w = l->weights;
            uint8_t *to = window;
            for (ky = 0; ky < l->kernel_height; ky++) {
                int iy = y * l->stride_y - l->top + ky * l->dilation_y;
                for (kx = 0; kx < l->kernel_width; kx++) {
                    int ix = x * l->stride_x - l->left + kx * l->dilation_x;
                    int inside = iy >= 0 && iy < l->height && ix >= 0 && ix < l->width;
                    const uint8_t *from = inside ? in + (iy * l->width + ix) * l->channels : in;
                    for (c = 0; c < l->channels; c++) *to++ = inside ? from[c] : (uint8_t)l->zero_in;
                }
            }
            for (o = 0; o < l->out_channels; o++, w += size)
                *out++ = requantize(l->bias[o] + dot(window, w, size, l->zero_in), l->shifts[o], l);
        }
    }
}
"""

DEPTHWISE = """\
static void depthwise(const uint8_t *in, uint8_t *out, const layer_t *l)
{
    int y, x, o, ky, kx, each = l->out_channels / l->channels;
    for (y = 0; y < l->out_height; y++) {
        for (x = 0; x < l->out_width; x++) {
            for (o = 0; o < l->out_channels; o++) {
                int32_t a = l->bias[o];
                for (ky = 0; ky < l->kernel_height; ky++) {
                    int iy = y * l->stride_y - l->top + ky * l->dilation_y;
                    if (iy < 0 || iy >= l->height) continue;
                    for (kx = 0; kx < l->kernel_width; kx++) {
                        int ix = x * l->stride_x - l->left + kx * l->dilation_x;
                        if (ix < 0 || ix >= l->width) continue;
                        a += ((int32_t)in[(iy * l->width + ix) * l->channels + o / each] - l->zero_in)
                             * l->weights[(ky * l->kernel_width + kx) * l->out_channels + o];
                    }
                }
                *out++ = requantize(a, l->shifts[o], l);
            }
        }
    }
}
"""

DENSE = """\
static void dense(const uint8_t *in, uint8_t *out, const layer_t *l)
{
    int o;
    for (o = 0; o < l->out_channels; o++)
        out[o] = requantize(l->bias[o] + dot(in, l->weights + o * l->channels, l->channels, l->zero_in),
                            l->shifts[o], l);
}
"""

MAX_POOL = """\
static void max_pool(const uint8_t *in, uint8_t *out, const layer_t *l)
{
    int y, x, c, ky, kx;
    for (y = 0; y < l->out_height; y++) {
        for (x = 0; x < l->out_width; x++) {
            for (c = 0; c < l->channels; c++) {
                uint8_t most = 0;
                for (ky = 0; ky < l->kernel_height; ky++) {
                    int iy = y * l->stride_y - l->top + ky;
                    if (iy < 0 || iy >= l->height) continue;
                    for (kx = 0; kx < l->kernel_width; kx++) {
                        int ix = x * l->stride_x - l->left + kx;
                        uint8_t value;
                        if (ix < 0 || ix >= l->width) continue;
                        value = in[(iy * l->width + ix) * l->channels + c];
                        if (value > most) most = value;
                    }
                }
                *out++ = most;
            }
        }
    }
}
"""

ADD = """\
static void add(const uint8_t *a, const uint8_t *b, uint8_t *out, int count, int offset, int low, int high)
{
    int i;
    for (i = 0; i < count; i++) {
        int code = (int)a[i] + (int)b[i] + offset;
        if (code < low) code = low;
        if (code > high) code = high;
        out[i] = (uint8_t)code;
    }
}
"""

PAD = """\
static void pad(const uint8_t *in, uint8_t *out, const layer_t *l)
{
    int y, x, c;
    for (y = 0; y < l->out_height; y++) {
        for (x = 0; x < l->out_width; x++) {
            int iy = y - l->top, ix = x - l->left;
            int inside = iy >= 0 && iy < l->height && ix >= 0 && ix < l->width;
            for (c = 0; c < l->channels; c++)
                *out++ = inside ? in[(iy * l->width + ix) * l->channels + c] : (uint8_t)l->zero_in;
        }
    }
}
"""

COPY = """\
static void copy_blocks(const uint8_t *in, uint8_t *out, int blocks, int size, int step)
{
    int i, j;
    for (i = 0; i < blocks; i++)
        for (j = 0; j < size; j++) out[i * step + j] = in[i * size + j];
}
"""

KERNELS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "CONV_2D": (LAYER, REQUANTIZE, DOT, CONV),
        "DEPTHWISE_CONV_2D": (LAYER, REQUANTIZE, DEPTHWISE),
        "FULLY_CONNECTED": (LAYER, REQUANTIZE, DOT, DENSE),
        "MAX_POOL_2D": (LAYER, MAX_POOL),
        "ADD": (ADD,),
        "PAD": (LAYER, PAD),
        "CONCATENATION": (COPY,),
    }
)
"""Operator to the pieces of text that it needs, in order."""

ORDER: tuple[str, ...] = (LAYER, REQUANTIZE, DOT, CONV, DEPTHWISE, DENSE, MAX_POOL, ADD, PAD, COPY)
