// What a training run shows while it works: one line that moves on a terminal, one line for each epoch elsewhere.
#pragma once

#include <normnet/core/format.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/train/history.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if __has_include(<sys/ioctl.h>) && __has_include(<unistd.h>)
#include <sys/ioctl.h>
#include <unistd.h>
#define NORMNET_POSIX_TERMINAL
#endif

namespace normnet {

/// Reports the progress of a training run. On a terminal, a line is redrawn at most ten times a second while an epoch runs
///
///     bn  epoch  3/20  [=========>----------]  45%  loss 0.9876  accuracy 65.43%  5120 images/s  1:23 left
///
/// and replaced by the epoch's result; elsewhere (a file, a pipe) there is only the result:
///
///     bn  epoch  3/20  train loss 0.9812  accuracy 65.61%  test loss 0.9034  accuracy 68.20%  9.8 s  5120 images/s
///
/// The moving line leaves out what does not fit the terminal's width; it never wraps.
class ProgressBar {
 public:
  struct Options {
    /// Where to write; nullptr for silence.
    std::ostream* out = &std::cout;
    /// Stands in front of every line: which run this is.
    std::string title = {};
    /// Whether to draw the moving line; by default, whether `out` is std::cout and that is a terminal that moves a cursor: not where
    /// TERM is "dumb" or not set. It has no colours, so that NO_COLOR changes nothing.
    std::optional<bool> terminal = std::nullopt;
    /// The columns of the terminal; 0 asks it.
    Index width = 0;
    /// Seconds since some fixed moment; by default those of the steady clock.
    std::function<double()> clock = {};
  };

  /// For the given numbers of epochs and of training images in each; the epochs are counted from first_epoch.
  ProgressBar(Options options, Index epochs, Index images, Index first_epoch = 1)
      : options_(std::move(options)),
        first_epoch_(first_epoch),
        last_epoch_(first_epoch + epochs - 1),
        images_(images),
        moving_(options_.terminal.value_or(is_terminal(options_.out))) {
    start_ = now();
  }

  /// An epoch begins, or goes on where so many of its images were done elsewhere.
  void begin_epoch(Index epoch, Index images_done = 0) {
    epoch_ = epoch;
    epoch_start_ = now();
    done_elsewhere_ = images_done;
    if (epoch == first_epoch_) share_done_elsewhere_ = share_of(images_done);
    last_drawn_ = std::nullopt;
  }

  /// So many of the epoch's images are done, at this running loss and accuracy (in percent).
  void update(Index images_done, double loss, double accuracy) {
    if (options_.out == nullptr || !moving_) return;
    const double time = now();
    if (last_drawn_ && time - *last_drawn_ < 0.1) return;
    last_drawn_ = time;
    const double share = share_of(images_done);
    const double epochs_done = static_cast<double>(epoch_ - first_epoch_) + share - share_done_elsewhere_;
    const double epochs_left = static_cast<double>(last_epoch_ - epoch_ + 1) - share;
    const double rate = time > epoch_start_ ? static_cast<double>(images_done - done_elsewhere_) / (time - epoch_start_) : 0;
    const double left = (time - start_) / epochs_done * epochs_left;
    draw(share, {"loss " + to_fixed(loss, 4), "accuracy " + to_fixed(accuracy, 2) + "%", to_fixed(rate, 0) + " images/s",
                 format_duration(left) + " left"});
  }

  /// The epoch is over. The line stays.
  void end_epoch(const EpochRecord& record) {
    if (options_.out == nullptr) return;
    if (last_drawn_) *options_.out << erase_line;
    last_drawn_ = std::nullopt;
    *options_.out << heading() << "  train loss " << to_fixed(record.train_loss, 4) << "  accuracy "
                  << to_fixed(record.train_accuracy, 2) << "%  test loss " << to_fixed(record.test_loss, 4) << "  accuracy "
                  << to_fixed(record.test_accuracy, 2) << "%  " << to_fixed(record.train_seconds + record.test_seconds, 1)
                  << " s  " << to_fixed(record.images_per_second, 0) << " images/s" << std::endl;
  }

  /// Removes a moving line that an error left behind.
  ~ProgressBar() {
    if (last_drawn_) *options_.out << erase_line << std::flush;
  }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

 private:
  double now() const {
    if (options_.clock) return options_.clock();
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }

  double share_of(Index images) const { return static_cast<double>(images) / static_cast<double>(images_); }

  std::string heading() const {
    const std::string last = std::to_string(last_epoch_);
    return (options_.title.empty() ? "" : options_.title + "  ") + "epoch " + right_aligned(std::to_string(epoch_), last.size()) +
           "/" + last;
  }

  // The heading and the share are always there; then the figures, most important first, as far as they fit; then the bar.
  void draw(double share, const std::vector<std::string>& figures) const {
    const auto width = static_cast<std::size_t>(std::max<Index>(0, columns() - 1));
    const std::string percent = right_aligned(to_fixed(std::floor(100 * share), 0), 3) + "%";
    std::string tail = "  " + percent;
    for (const std::string& figure : figures) {
      if (heading().size() + tail.size() + 2 + figure.size() > width) break;
      tail += "  " + figure;
    }
    std::string line = heading();
    const std::size_t taken = line.size() + tail.size() + 4;  // two blanks and two brackets
    if (taken + shortest_bar <= width) line += "  [" + bar(share, std::min(longest_bar, width - taken)) + "]";
    line += tail;
    *options_.out << erase_line << line.substr(0, width) << std::flush;
  }

  static std::string bar(double share, std::size_t length) {
    const auto done = static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(length));
    if (done == length) return std::string(length, '=');
    return std::string(done, '=') + ">" + std::string(length - done - 1, '-');
  }

  Index columns() const {
    if (options_.width > 0) return options_.width;
#ifdef NORMNET_POSIX_TERMINAL
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
#endif
    return 80;
  }

  static bool is_terminal(const std::ostream* out) {
#ifdef NORMNET_POSIX_TERMINAL
    const char* const type = std::getenv("TERM");
    const bool moves = type != nullptr && *type != '\0' && std::string_view(type) != "dumb";
    return moves && out == &std::cout && isatty(STDOUT_FILENO) != 0;
#else
    (void)out;
    return false;
#endif
  }

  static constexpr const char* erase_line = "\r\x1b[K";
  static constexpr std::size_t shortest_bar = 5;
  static constexpr std::size_t longest_bar = 30;

  Options options_;
  Index first_epoch_;
  Index last_epoch_;
  Index images_;
  bool moving_;
  Index epoch_ = 0;
  double start_ = 0;
  double epoch_start_ = 0;
  Index done_elsewhere_ = 0;         // images of this epoch
  double share_done_elsewhere_ = 0;  // of the first epoch
  std::optional<double> last_drawn_;
};

}  // namespace normnet
