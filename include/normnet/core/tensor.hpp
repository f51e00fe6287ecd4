// Dense row-major tensors: parameters, images and logits at the API's edge, files.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/eigen.hpp>
#include <normnet/core/error.hpp>
#include <normnet/core/out_of_memory.hpp>
#include <normnet/core/shape.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <utility>

namespace normnet {

/// A dense tensor in row-major order: the last index varies fastest. A value: copied deeply, compared by shape and elements.
/// Several threads may read one at a time, or one may write.
template <class T>
class Tensor {
 public:
  using Scalar = T;
  using OwnMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Matrix = Eigen::Map<OwnMatrix>;
  using ConstMatrix = Eigen::Map<const OwnMatrix>;

  /// A tensor without elements, of shape {0}.
  Tensor() : shape_{0} {}

  /// Every element is `value`. Throws OutOfMemory.
  explicit Tensor(Shape shape, T value = T(0))
      : shape_(std::move(shape)),
        elements_(normnet_impl::with_memory_for({"a tensor of ", shape_}, sizeof(T) * static_cast<double>(shape_.elements()),
                                                [&] { return AlignedArray<T>(shape_.elements(), value); })) {}

  /// Throws Error when there are more or fewer values than elements.
  Tensor(Shape shape, std::span<const T> values) : shape_(std::move(shape)) {
    if (std::ssize(values) != shape_.elements()) {
      fail("Tensor: expected ", shape_.elements(), " values for the shape ", shape_, ", got ", values.size());
    }
    elements_ = AlignedArray<T>(values);
  }
  Tensor(Shape shape, std::initializer_list<T> values)
      : Tensor(std::move(shape), std::span<const T>(values.begin(), values.size())) {}

  const Shape& shape() const& { return shape_; }
  Shape shape() && { return std::move(shape_); }
  Index size() const { return elements_.size(); }
  bool empty() const { return elements_.empty(); }

  /// The elements in memory order, as long as the tensor lives: a temporary gives none.
  T* data() & { return elements_.data(); }
  const T* data() const& { return elements_.data(); }
  const T* data() const&& = delete;
  std::span<T> span() & { return elements_.span(); }
  std::span<const T> span() const& { return elements_.span(); }
  std::span<const T> span() const&& = delete;

  /// The element at the given indices. Throws Error when their number is not the rank, or one is out of range.
  template <std::integral... Indices>
  T& operator()(Indices... indices) {
    return elements_[offset({static_cast<Index>(indices)...})];
  }
  template <std::integral... Indices>
  const T& operator()(Indices... indices) const {
    return elements_[offset({static_cast<Index>(indices)...})];
  }

  /// Element i in memory order. Throws Error out of range.
  T& operator[](Index i) { return elements_[checked(i)]; }
  const T& operator[](Index i) const { return elements_[checked(i)]; }

  /// The elements as an Eigen matrix of shape[0] rows, which shares the tensor's memory; that of a temporary has its own. Throws
  /// Error for a scalar.
  Matrix matrix() & { return Matrix(data(), rows(), columns()); }
  ConstMatrix matrix() const& { return ConstMatrix(data(), rows(), columns()); }
  OwnMatrix matrix() const&& { return matrix(); }

  /// The same elements in another shape. Throws Error when the number of elements differs.
  Tensor reshaped(Shape shape) const& { return Tensor(*this).reshaped(std::move(shape)); }
  Tensor reshaped(Shape shape) && {
    if (shape.elements() != size()) {
      fail("Tensor: cannot reshape ", shape_, " to ", shape, ": ", size(), " elements against ", shape.elements());
    }
    shape_ = std::move(shape);
    return std::move(*this);
  }

  void fill(T value) { std::fill(elements_.begin(), elements_.end(), value); }

  friend bool operator==(const Tensor& a, const Tensor& b) {
    return a.shape_ == b.shape_ && std::equal(a.elements_.begin(), a.elements_.end(), b.elements_.begin(), b.elements_.end());
  }

 private:
  Index rows() const { return shape_[0]; }
  Index columns() const { return rows() == 0 ? 0 : size() / rows(); }

  Index checked(Index i) const {
    if (i < 0 || i >= size()) fail("Tensor ", shape_, ": index ", i, " is outside its ", size(), " elements");
    return i;
  }

  template <std::size_t Rank>
  Index offset(const std::array<Index, Rank>& indices) const {
    if (shape_.rank() != static_cast<Index>(Rank)) {
      fail("Tensor ", shape_, ": expected ", shape_.rank(), " indices, got ", Rank);
    }
    Index position = 0;
    for (std::size_t i = 0; i < Rank; ++i) {
      const Index extent = shape_.extents()[i];
      if (indices[i] < 0 || indices[i] >= extent) {
        fail("Tensor ", shape_, ": index ", indices[i], " is outside extent ", i, " of ", extent);
      }
      position = position * extent + indices[i];
    }
    return position;
  }

  template <std::size_t Rank>
  Index offset(const Index (&indices)[Rank]) const {
    return offset(std::to_array(indices));
  }

  Shape shape_;
  AlignedArray<T> elements_;
};

}  // namespace normnet
