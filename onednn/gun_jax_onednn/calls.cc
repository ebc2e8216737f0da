// Calls of oneDNN for XLA programs on CPUs: convolutions, their gradients, and batches of matrix products, in float32.
//
// Arrays are XLA's: images NHWC, kernels HWIO. oneDNN names dimensions NCHW and OIHW whatever the layout in memory.
// It chooses the layout of kernels itself; they are small, and reordered in each call.

#include <cstdint>
#include <exception>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"
#include "xla/ffi/api/ffi.h"

extern "C" {  // of the OpenMP library that oneDNN is linked with
int omp_get_max_threads(void);
void omp_set_num_threads(int);
}

namespace {

namespace ffi = xla::ffi;
using dnnl::memory;
using Array = ffi::Buffer<ffi::F32>;
using Result = ffi::ResultBuffer<ffi::F32>;
using Sizes = ffi::Span<const int64_t>;
using Tag = memory::format_tag;

constexpr auto kFloat = memory::data_type::f32;
enum Operation : int64_t { kForward, kInputGradient, kKernelGradient, kMultiply };

// What was compiled for some shapes, and the layouts that it reads and writes.
struct Compiled {
  dnnl::primitive run;
  memory::desc source, weights, result, scratch;
};

const dnnl::engine& Cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::primitive_attr OwnScratch() {  // one call's, so that several may run at a time
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

memory View(const memory::desc& layout, const Array& array) {
  return memory(layout, Cpu(), const_cast<float*>(array.typed_data()));
}

// Compiles once for each key.
template <typename Compile>
Compiled Once(const std::vector<int64_t>& key, Compile compile) {
  static std::mutex mutex;
  static std::map<std::vector<int64_t>, Compiled> all;
  std::lock_guard<std::mutex> lock(mutex);
  auto found = all.find(key);
  if (found == all.end()) found = all.emplace(key, compile()).first;
  return found->second;
}

// Threads that wait for each other at the end of a small operation cost more than they save. oneDNN wants as many when
// it compiles a primitive as when it runs it.
void UseThreadsFor(int64_t multiply_adds) {
  constexpr int64_t kSmall = 1 << 24;
  static const int all = omp_get_max_threads();  // OMP_NUM_THREADS, or the cores
  omp_set_num_threads(multiply_adds < kSmall ? 1 : all);
}

int64_t Product(Sizes sizes) {
  int64_t product = 1;
  for (int64_t size : sizes) product *= size;
  return product;
}

struct Geometry {
  int64_t stride, top, left, dilation;  // `top` rows and `left` columns of padding; the shapes say how many after
};

memory::dims Nchw(Sizes nhwc) { return {nhwc[0], nhwc[3], nhwc[1], nhwc[2]}; }

// A kernel (k, k, channels of a group, outputs) in memory. With one group, as OIHW; else as GOIHW, one output a group.
memory::desc Kernel(Sizes input, Sizes hwio, bool any) {
  const int64_t height = hwio[0], width = hwio[1], inputs = hwio[2], outputs = hwio[3];
  if (inputs == input[3]) return memory::desc({outputs, inputs, height, width}, kFloat, any ? Tag::any : Tag::hwio);
  const memory::dims grouped{outputs, 1, inputs, height, width};
  if (any) return memory::desc(grouped, kFloat, Tag::any);
  return memory::desc(grouped, kFloat, memory::dims{1, 1, outputs, width * inputs * outputs, inputs * outputs});
}

Compiled CompileConvolution(Operation operation, Sizes input, Sizes kernel, Sizes output, Geometry g) {
  const auto algorithm = dnnl::algorithm::convolution_direct;
  const memory::desc x(Nchw(input), kFloat, Tag::nhwc), w = Kernel(input, kernel, true),
      y(Nchw(output), kFloat, Tag::nhwc);
  const memory::dims strides{g.stride, g.stride}, dilations{g.dilation - 1, g.dilation - 1}, before{g.top, g.left};
  memory::dims after;  // a strided convolution may leave the last rows and columns of the padding out
  for (int side : {1, 2}) {
    const int64_t read = (output[side] - 1) * g.stride + (kernel[side - 1] - 1) * g.dilation + 1;
    after.push_back(read - input[side] - before[side - 1]);
  }
  const auto attributes = OwnScratch();
  const dnnl::convolution_forward::primitive_desc forward(
      Cpu(), dnnl::prop_kind::forward_training, algorithm, x, w, y, strides, dilations, before, after, attributes);
  if (operation == kForward) {
    return {dnnl::convolution_forward(forward), x, forward.weights_desc(), y, forward.scratchpad_desc()};
  }
  if (operation == kInputGradient) {
    const dnnl::convolution_backward_data::primitive_desc backward(
        Cpu(), algorithm, x, w, y, strides, dilations, before, after, forward, attributes);
    return {dnnl::convolution_backward_data(backward), x, backward.weights_desc(), y, backward.scratchpad_desc()};
  }
  const dnnl::convolution_backward_weights::primitive_desc backward(
      Cpu(), algorithm, x, w, y, strides, dilations, before, after, forward, attributes);
  return {dnnl::convolution_backward_weights(backward), x, backward.diff_weights_desc(), y, backward.scratchpad_desc()};
}

// `input`, `kernel` and `output` are those of the convolution, whichever of them the operation computes.
void Convolution(Operation operation, const Array& input, const Array& kernel, const Array& output, Geometry g) {
  std::vector<int64_t> key{operation, g.stride, g.top, g.left, g.dilation};
  for (Sizes sizes : {input.dimensions(), kernel.dimensions(), output.dimensions()}) {
    key.insert(key.end(), sizes.begin(), sizes.end());
  }
  UseThreadsFor(Product(output.dimensions()) * Product(kernel.dimensions()) / kernel.dimensions()[3]);
  const Compiled compiled = Once(key, [&] {
    return CompileConvolution(operation, input.dimensions(), kernel.dimensions(), output.dimensions(), g);
  });
  dnnl::stream stream(Cpu());
  memory x = View(compiled.source, input), y = View(compiled.result, output);
  memory plain = View(Kernel(input.dimensions(), kernel.dimensions(), false), kernel);
  memory w(compiled.weights, Cpu()), scratch(compiled.scratch, Cpu());
  if (operation != kKernelGradient) dnnl::reorder(plain, w).execute(stream, plain, w);
  std::unordered_map<int, memory> arguments{{DNNL_ARG_SCRATCHPAD, scratch}};
  arguments[operation == kInputGradient ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC] = x;
  arguments[operation == kKernelGradient ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS] = w;
  arguments[operation == kForward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST] = y;
  compiled.run.execute(stream, arguments);
  if (operation == kKernelGradient) dnnl::reorder(w, plain).execute(stream, w, plain);
  stream.wait();
}

// (n, i, k) by (n, k, j), or with the last two axes of one exchanged where it is `turned`: (n, i, j).
void Multiply(const Array& left, const Array& right, const Array& result, bool left_turned, bool right_turned) {
  std::vector<int64_t> key{kMultiply, left_turned, right_turned};
  for (Sizes sizes : {left.dimensions(), right.dimensions()}) key.insert(key.end(), sizes.begin(), sizes.end());
  UseThreadsFor(Product(result.dimensions()) * left.dimensions()[left_turned ? 1 : 2]);
  const Compiled compiled = Once(key, [&]() -> Compiled {
    const Sizes l = left.dimensions(), to = result.dimensions();
    const int64_t inner = left_turned ? l[1] : l[2];
    const memory::desc a({to[0], to[1], inner}, kFloat, left_turned ? Tag::acb : Tag::abc),
        b({to[0], inner, to[2]}, kFloat, right_turned ? Tag::acb : Tag::abc), c({to[0], to[1], to[2]}, kFloat, Tag::abc);
    const dnnl::matmul::primitive_desc matmul(Cpu(), a, b, c, OwnScratch());
    return {dnnl::matmul(matmul), a, b, c, matmul.scratchpad_desc()};
  });
  dnnl::stream stream(Cpu());
  memory a = View(compiled.source, left), b = View(compiled.weights, right), c = View(compiled.result, result);
  memory scratch(compiled.scratch, Cpu());
  compiled.run.execute(
      stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}, {DNNL_ARG_SCRATCHPAD, scratch}});
  stream.wait();
}

template <typename Run>
ffi::Error Guarded(Run run) {
  try {
    run();
    return ffi::Error::Success();
  } catch (const std::exception& error) {
    return ffi::Error::Internal(std::string("oneDNN: ") + error.what());
  }
}

ffi::Error ForwardCall(Array x, Array kernel, Result y, int64_t stride, int64_t top, int64_t left, int64_t dilation) {
  return Guarded([&] { Convolution(kForward, x, kernel, *y, {stride, top, left, dilation}); });
}

ffi::Error InputGradientCall(Array kernel, Array y, Result x, int64_t stride, int64_t top, int64_t left, int64_t dilation) {
  return Guarded([&] { Convolution(kInputGradient, *x, kernel, y, {stride, top, left, dilation}); });
}

ffi::Error KernelGradientCall(Array x, Array y, Result kernel, int64_t stride, int64_t top, int64_t left, int64_t dilation) {
  return Guarded([&] { Convolution(kKernelGradient, x, *kernel, y, {stride, top, left, dilation}); });
}

ffi::Error MultiplyCall(Array left, Array right, Result result, bool left_turned, bool right_turned) {
  return Guarded([&] { Multiply(left, right, *result, left_turned, right_turned); });
}

auto TwoArrays() { return ffi::Ffi::Bind().Arg<Array>().Arg<Array>().Ret<Array>(); }

auto ConvolutionBinding() {
  return TwoArrays()
      .Attr<int64_t>("stride")
      .Attr<int64_t>("top")
      .Attr<int64_t>("left")
      .Attr<int64_t>("dilation");
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(convolve, ForwardCall, ConvolutionBinding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(input_gradient, InputGradientCall, ConvolutionBinding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(kernel_gradient, KernelGradientCall, ConvolutionBinding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(multiply, MultiplyCall,
                              TwoArrays().Attr<bool>("left_turned").Attr<bool>("right_turned"));
