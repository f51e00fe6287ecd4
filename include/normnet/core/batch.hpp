// Feature maps in lane layout: the images of a batch side by side in the SIMD lanes.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/error.hpp>
#include <normnet/core/pack.hpp>
#include <normnet/core/parallel.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/core/tensor.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace normnet::inline NORMNET_ABI {

/// A border of zeros around every plane of a Batch, `height` rows above and below and `width` columns left and right. A padded
/// convolution reads it instead of testing for the edge.
struct Halo {
  Index height = 0;
  Index width = 0;

  friend bool operator==(const Halo&, const Halo&) = default;

  /// The smallest border that holds both.
  friend Halo max(const Halo& a, const Halo& b) { return {std::max(a.height, b.height), std::max(a.width, b.width)}; }
  bool holds(const Halo& other) const { return height >= other.height && width >= other.width; }
};

/// N x C x H x W feature maps, or N x F features (held as C = F, H = W = 1), with `Pack<T>::lanes` images side by side:
///
///     memory: [block][channel][y][x][lane]        image n = block * lanes + lane
///
/// What layers read and write is rows of packs: `row(block, channel, y)[x]`. The lanes past N of the last block are padding:
/// blank images that travel along. In a gradient they are zero; no statistic, loss or result may read them.
/// Borders are zero from the start, and nobody writes there. Several threads may read a batch at a time, or one may write; or
/// several, to rows of their own.
template <class T>
class Batch {
 public:
  using Scalar = T;
  static constexpr int lanes = Pack<T>::lanes;

  Batch() = default;

  /// All zeros. Throws Error when the shape is neither N x C x H x W nor N x F, and OutOfMemory.
  explicit Batch(Shape shape, Halo halo = {}) { reset(std::move(shape), halo); }

  Batch(const Batch& other) { *this = other; }
  Batch(Batch&&) noexcept = default;
  Batch& operator=(Batch&&) noexcept = default;
  ~Batch() = default;
  Batch& operator=(const Batch& other) {
    if (this == &other) return *this;
    Batch copy;
    if (other.images() > 0) {
      copy.reset(other.shape(), other.halo());
      copy.copy_from(other);
    } else {
      copy.layout_ = other.layout_;
    }
    return *this = std::move(copy);
  }

  /// Copies a tensor of shape N x C x H x W or N x F.
  static Batch from(const Tensor<T>& tensor, Halo halo = {}) {
    Batch batch(tensor.shape(), halo);
    const T* value = tensor.data();
    for (Index n = 0; n < batch.images(); ++n) {
      batch.for_each_pixel(
          [&](Index c, Index y, Index x) { batch.row(n / lanes, c, y)[x].set(static_cast<int>(n % lanes), *value++); });
    }
    return batch;
  }

  /// The images without padding lanes and borders, in the batch's shape.
  Tensor<T> to_tensor() const {
    Tensor<T> tensor(shape());
    T* value = tensor.data();
    for (Index n = 0; n < images(); ++n) {
      for_each_pixel([&](Index c, Index y, Index x) { *value++ = row(n / lanes, c, y)[x][static_cast<int>(n % lanes)]; });
    }
    return tensor;
  }

  /// Takes another shape or border. What the batch holds is kept when only the number of images changes and the blocks fit;
  /// otherwise it is all zeros afterwards. Memory never shrinks. Throws Error as the constructor does.
  void reset(Shape shape, Halo halo = {}) {
    const Layout layout(std::move(shape), halo);
    const bool same_planes = layout.same_planes(layout_);
    if (layout.packs() > packs_.size()) {
      packs_ = normnet_impl::with_memory_for({"a batch of ", layout.shape}, sizeof(Pack<T>) * static_cast<double>(layout.packs()),
                                             [&] { return AlignedArray<Pack<T>>(layout.packs(), Pack<T>(T(0))); });
    } else if (!same_planes) {
      std::fill(packs_.begin(), packs_.end(), Pack<T>(T(0)));
    }
    layout_ = layout;
    memory_ = packs_.data();
  }

  /// Takes another shape or border, in memory that others use at other times: block b stands at memory + b * block_stride, which
  /// is at least packs_of_block(shape, halo), and must outlive the batch. What stands there is left as it is, so clear_border()
  /// is needed before a border is read. A copy of such a batch has memory of its own.
  void share(Shape shape, Halo halo, Pack<T>* memory, Index block_stride) {
    layout_ = Layout(std::move(shape), halo);
    layout_.block_stride = block_stride;
    packs_ = {};
    memory_ = memory;
  }

  /// The packs that a block of such a batch takes. Throws Error as the constructor does.
  static Index packs_of_block(const Shape& shape, Halo halo) { return Layout(shape, halo).block_stride; }

  /// Sets the border of one channel of a block to zero.
  void clear_border(Index block, Index c) {
    const Pack<T> zero(T(0));
    const auto& [above, left] = halo();
    // What is right of a row stands before what is left of the next one.
    std::fill_n(row(block, c, -above) - left, above * row_stride() + left, zero);
    for (Index y = 0; y + 1 < height(); ++y) std::fill_n(row(block, c, y) + width(), 2 * left, zero);
    std::fill_n(row(block, c, height() - 1) + width(), left + above * row_stride(), zero);
  }

  const Shape& shape() const& { return layout_.shape; }
  Shape shape() && { return std::move(layout_.shape); }
  Index images() const { return shape().rank() == 0 ? 0 : shape()[0]; }
  Index channels() const { return layout_.channels; }
  Index height() const { return layout_.height; }
  Index width() const { return layout_.width; }
  Index plane() const { return height() * width(); }
  const Halo& halo() const { return layout_.halo; }
  bool empty() const { return images() == 0; }

  /// Blocks of `lanes` images; the last may hold fewer.
  Index blocks() const { return layout_.blocks; }

  /// The images in a block: `lanes`, or fewer in the last.
  int images_in(Index block) const { return static_cast<int>(std::min<Index>(lanes, images() - block * lanes)); }

  /// The packs of one row, from pixel 0 on; valid for y in [-halo.height, H + halo.height) and x in
  /// [-halo.width, W + halo.width).
  Pack<T>* row(Index block, Index channel, Index y) { return memory_ + offset(block, channel, y); }
  const Pack<T>* row(Index block, Index channel, Index y) const { return memory_ + offset(block, channel, y); }

  /// Distances, in packs, between vertical neighbours, between channels, and between blocks.
  Index row_stride() const { return layout_.row_stride; }
  Index channel_stride() const { return layout_.channel_stride; }
  Index block_stride() const { return layout_.block_stride; }

  /// One value. Throws Error out of range.
  T at(Index n, Index c, Index y = 0, Index x = 0) const {
    check(n, c, y, x);
    return row(n / lanes, c, y)[x][static_cast<int>(n % lanes)];
  }
  void set(Index n, Index c, Index y, Index x, T value) {
    check(n, c, y, x);
    row(n / lanes, c, y)[x].set(static_cast<int>(n % lanes), value);
  }

  /// Writes `value` to every pixel of every lane, not to the border.
  void fill(T value) {
    for (Index block = 0; block < blocks(); ++block) {
      for_each_pixel([&](Index c, Index y, Index x) { row(block, c, y)[x] = Pack<T>(value); });
    }
  }

  /// Copies the pixels of a batch of the same extents; borders may differ. Throws Error when the extents differ.
  void copy_from(const Batch& other) {
    if (images() != other.images() || channels() != other.channels() || height() != other.height() || width() != other.width()) {
      fail("Batch: cannot copy ", other.shape(), " to ", shape());
    }
    parallel_for_2d(blocks(), channels(), plane(), [&](Index block, Index c) { copy_channel_from(other, block, c); });
  }

  /// Copies one channel of one block of such a batch, without checking.
  void copy_channel_from(const Batch& other, Index block, Index c) {
    for (Index y = 0; y < height(); ++y) std::copy_n(other.row(block, c, y), width(), row(block, c, y));
  }

  /// Sets the padding lanes of the last block to zero, as a gradient must have them.
  void clear_padding_lanes() {
    if (empty() || images_in(blocks() - 1) == lanes) return;
    const Index block = blocks() - 1;
    for_each_pixel([&](Index c, Index y, Index x) { row(block, c, y)[x] = keep_lanes(row(block, c, y)[x], images_in(block)); });
  }

  /// Whether they are.
  bool padding_lanes_are_zero() const {
    if (empty() || images_in(blocks() - 1) == lanes) return true;
    const Index block = blocks() - 1;
    bool zero = true;
    for_each_pixel([&](Index c, Index y, Index x) {
      for (int lane = images_in(block); lane < lanes; ++lane) zero = zero && row(block, c, y)[x][lane] == T(0);
    });
    return zero;
  }

  /// The memory of its own, in bytes.
  std::size_t bytes() const { return packs_.span().size_bytes(); }

 private:
  // Where everything stands, in packs.
  struct Layout {
    Shape shape;
    Halo halo;
    Index channels = 0, height = 0, width = 0, blocks = 0;
    Index row_stride = 0, channel_stride = 0, block_stride = 0;

    Layout() = default;
    Layout(Shape shape_, Halo halo_) : shape(std::move(shape_)), halo(halo_) {
      if (shape.rank() != 4 && shape.rank() != 2) fail("Batch: expected a shape N x C x H x W or N x F, got ", shape);
      const bool features = shape.rank() == 2;
      channels = shape[1];
      height = features ? 1 : shape[2];
      width = features ? 1 : shape[3];
      blocks = shape[0] / lanes + (shape[0] % lanes != 0);
      check_size();
      row_stride = width + 2 * halo.width;
      // Odd, for planes of a power of two would put the same pixel of all channels into one set of the cache.
      channel_stride = (row_stride * (height + 2 * halo.height)) | 1;
      block_stride = channel_stride * channels;
    }

    Index packs() const { return blocks * block_stride; }

    bool same_planes(const Layout& other) const {
      return channels == other.channels && height == other.height && width == other.width && halo == other.halo;
    }

   private:
    void check_size() const {
      constexpr Index most = std::numeric_limits<Index>::max() / static_cast<Index>(sizeof(Pack<T>));
      Index packs = 1;
      const auto multiply = [&](Index extent) {
        if (extent < 0 || (extent > 0 && packs > most / extent)) {
          fail("Batch: ", shape, " with a border of ", halo.height, "x", halo.width, " does not fit the memory of any machine");
        }
        packs *= extent;
      };
      const auto with_border = [](Index extent, Index border) { return border > (most - extent) / 2 ? -1 : extent + 2 * border; };
      multiply(with_border(height, halo.height));
      multiply(with_border(width, halo.width));
      packs |= 1;  // as the stride of channels is; `most` is odd
      multiply(channels);
      multiply(blocks);
    }
  };

  Index offset(Index block, Index channel, Index y) const {
    return block * layout_.block_stride + channel * layout_.channel_stride + (y + layout_.halo.height) * layout_.row_stride +
           layout_.halo.width;
  }

  template <class F>
  void for_each_pixel(F f) const {
    for (Index c = 0; c < channels(); ++c) {
      for (Index y = 0; y < height(); ++y) {
        for (Index x = 0; x < width(); ++x) f(c, y, x);
      }
    }
  }

  void check(Index n, Index c, Index y, Index x) const {
    const auto inside = [](Index i, Index extent) { return i >= 0 && i < extent; };
    if (!inside(n, images()) || !inside(c, channels()) || !inside(y, height()) || !inside(x, width())) {
      fail("Batch ", shape(), ": no element (", n, ", ", c, ", ", y, ", ", x, ")");
    }
  }

  Layout layout_;
  AlignedArray<Pack<T>> packs_;  // empty where the memory is shared
  Pack<T>* memory_ = nullptr;
};

}  // namespace normnet::inline NORMNET_ABI
