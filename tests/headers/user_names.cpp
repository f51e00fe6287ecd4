// A program with `using namespace normnet`, as the README shows it, keeps its own names and those of the standard library: building
// is the test.
#include <normnet/normnet.hpp>
#include <normnet/train/checkpoint_folder.hpp>
#include <normnet/viz/channel_picture.hpp>
#include <normnet/viz/image_grid.hpp>
#include <normnet/viz/line_chart.hpp>
#include <normnet/viz/matrix_chart.hpp>

#include <chrono>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

// The namespaces of a project.
namespace avx2 {
inline int value = 1;
}
namespace core {
inline int value = 2;
}
namespace detail {
inline int value = 3;
}
namespace formulas {
inline int value = 4;
}
namespace impl {
inline int value = 5;
}
namespace internal {
inline int value = 6;
}
namespace kernels {
inline int value = 7;
}
namespace nn {
inline int value = 8;
}
namespace openmp {
inline int value = 9;
}
namespace testing {
inline int value = 10;
}

// Its types, constants and functions. Another meaning of the same name would make each use of it ambiguous.
struct Chart {};
struct Color {};
struct Font {};
struct Image {};
struct Matrix {};
struct Places {};
struct Point {};
struct Rect {};
struct Segment {};
struct Series {};
struct Slot {};
struct Text {};
struct Ticks {};
struct Tile {};
struct Vector {};
inline constexpr int black = 0, white = 1, ink = 2, exact = 3, lanes = 4;
struct fans {};
struct load {};
struct narrow {};
struct prefetch {};
struct repeat {};
struct scratch {};
struct shorten {};
struct sums {};
struct transpose {};
struct widen {};

using namespace normnet;
using namespace std;
using namespace std::chrono;

string program() {
  const duration<double> elapsed = steady_clock::now() - steady_clock::now();
  ostringstream out;
  out << fixed << setprecision(2) << elapsed.count() << avx2::value << core::value << detail::value << formulas::value
      << impl::value << internal::value << kernels::value << nn::value << openmp::value << testing::value << black << white << ink
      << exact << lanes;

  const tuple own{Chart(),    Color(),  Font(),    Image(),   Matrix(), Places(),    Point(), Rect(), Segment(),
                  Series(),   Slot(),   Text(),    Ticks(),   Tile(),   Vector(),    fans(),  load(), narrow(),
                  prefetch(), repeat(), scratch(), shorten(), sums(),   transpose(), widen()};
  out << tuple_size_v<decltype(own)>;

  Sequential<float> net(/*seed=*/1);
  net.add(Conv2d<float>({.in_channels = 3, .out_channels = 4, .kernel_size = 3})).add(ReLU<float>()).add(Flatten<float>());
  vector<float> values;
  const Tensor<float> outputs = net.forward(Tensor<float>({2, 3, 5, 4}));
  for (const float value : outputs.span()) values.push_back(max(value, sqrt(abs(value))));
  viz::LineChart chart({.title = "values"});
  chart.add({.name = "first", .x = {0, 1}, .y = {exp(1.0), log(2.0)}}).write("values.png");
  return out.str() + to_string(values.size());
}
