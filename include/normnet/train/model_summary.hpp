// A model as a table: its layers, their output shapes, parameters and multiplications, and the memory of it all.
#pragma once

#include <normnet/core/format.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/nn/layer.hpp>
#include <normnet/nn/residual.hpp>
#include <normnet/nn/sequential.hpp>

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// What a model is made of, for one image. Printing it gives a table:
///
///     std::cout << ModelSummary(net, {3, 32, 32});
///
/// The sizes are torchsummary's: a MB has 2^20 bytes, and "forward/backward pass" counts the output of every layer twice, once as
/// value and once as gradient, whether or not the model really keeps it (Sequential overwrites what nobody reads again).
class ModelSummary {
 public:
  struct Row {
    std::string name;  ///< within its parent
    std::string type;
    Shape output;  ///< of one image, without the batch
    std::int64_t parameters = 0;
    std::int64_t multiply_adds = 0;
    int depth = 0;           ///< 0 for the model's own layers, 1 for those within a Sequential or Residual among them
    bool container = false;  ///< its numbers are the sums of the deeper rows that follow
  };

  /// For images of the shape C x H x W, or F features. Throws Error when a layer cannot take them.
  template <class T>
  ModelSummary(Sequential<T>& net, const Shape& image) : scalar_bytes_(sizeof(T)), input_elements_(image.elements()) {
    std::vector<Index> batch = image.extents();
    batch.insert(batch.begin(), 1);
    add_children(net, Shape(batch), 0);
  }

  const std::vector<Row>& rows() const& { return rows_; }
  std::vector<Row> rows() && { return std::move(rows_); }

  /// Of the whole model: learnable scalars, and multiplications with an addition in the forward pass of one image.
  std::int64_t parameters() const { return total(&Row::parameters); }
  std::int64_t multiply_adds() const { return total(&Row::multiply_adds); }

  /// In MB: the input, all layers' outputs and their gradients, the parameters, and the three together.
  double input_mb() const { return megabytes(input_elements_); }
  double pass_mb() const { return megabytes(2 * output_elements_); }
  double parameters_mb() const { return megabytes(parameters()); }
  double total_mb() const { return input_mb() + pass_mb() + parameters_mb(); }

  std::string to_string() const {
    std::vector<std::vector<std::string>> cells{{"Layer", "Type", "Output shape", "Params", "Multiply-adds"}};
    for (const Row& row : rows_) {
      cells.push_back({std::string(2 * static_cast<std::size_t>(row.depth), ' ') + row.name, row.type, row.output.to_string(),
                       with_commas(row.parameters), with_commas(row.multiply_adds)});
    }
    const std::vector<std::string> lines = aligned_table(cells, 2);
    const std::size_t width = lines.front().size();
    std::string text;
    for (const std::string& line : lines) {
      text += line + "\n";
      if (&line == &lines.front()) text += std::string(width, '=') + "\n";
    }
    text += std::string(width, '=') + "\n";
    text += "Total params: " + with_commas(parameters()) + "\n";
    text += "Trainable params: " + with_commas(parameters()) + "\n";
    text += "Non-trainable params: 0\n";
    text += "Total multiply-adds: " + with_commas(multiply_adds()) + "\n";
    text += std::string(width, '-') + "\n";
    text += "Input size (MB): " + to_fixed(input_mb(), 2) + "\n";
    text += "Forward/backward pass size (MB): " + to_fixed(pass_mb(), 2) + "\n";
    text += "Params size (MB): " + to_fixed(parameters_mb(), 2) + "\n";
    text += "Estimated Total Size (MB): " + to_fixed(total_mb(), 2) + "\n";
    return text;
  }

  friend std::ostream& operator<<(std::ostream& out, const ModelSummary& summary) { return out << summary.to_string(); }

 private:
  template <class T>
  void add_children(Sequential<T>& net, Shape shape, int depth) {
    for (Index i = 0; i < net.size(); ++i) {
      add(net[i], shape, depth);
      shape = net[i].output_shape(shape);
    }
  }

  template <class T>
  void add(Layer<T>& layer, const Shape& input, int depth) {
    auto* const sequential = layer.as_sequential();
    auto* const residual = layer.as_residual();
    const Shape output = layer.output_shape(input);
    std::int64_t parameters = 0;
    for (const auto& [name, parameter] : layer.parameters()) parameters += parameter->value.size();
    rows_.push_back({.name = layer.name().substr(layer.name().rfind('.') + 1),
                     .type = layer.type(),
                     .output = Shape(std::vector<Index>(output.extents().begin() + 1, output.extents().end())),
                     .parameters = parameters,
                     .multiply_adds = layer.multiply_adds(input),
                     .depth = depth,
                     .container = sequential != nullptr || residual != nullptr});
    if (sequential != nullptr) {
      add_children(*sequential, input, depth + 1);
    } else {
      output_elements_ += output.elements();  // a Sequential's output is that of its last layer
    }
    if (residual != nullptr) {
      add(residual->body(), input, depth + 1);
      if (residual->projection() != nullptr) add(*residual->projection(), input, depth + 1);
    }
  }

  // Containers repeat what their rows say.
  std::int64_t total(std::int64_t Row::*member) const {
    std::int64_t sum = 0;
    for (const Row& row : rows_) sum += row.container ? 0 : row.*member;
    return sum;
  }

  double megabytes(std::int64_t elements) const { return static_cast<double>(elements) * scalar_bytes_ / (1024 * 1024); }

  double scalar_bytes_;
  std::int64_t input_elements_;
  std::int64_t output_elements_ = 0;
  std::vector<Row> rows_;
};

}  // namespace normnet::inline NORMNET_ABI
