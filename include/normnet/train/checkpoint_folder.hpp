// The last checkpoints of a run, in a folder.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/named_options.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/io/safetensors.hpp>
#include <normnet/train/checkpoint.hpp>
#include <normnet/train/checkpoint_fields.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <compare>
#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#ifdef NORMNET_POSIX_FILES
#include <sys/file.h>
#endif

namespace normnet {}  // namespace normnet::inline NORMNET_ABI

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// A checkpoint's file; they are ordered by how far the run was.
struct CheckpointFile {
  Index epochs = 0;   // that are finished
  Index batches = 0;  // of the next one
  std::filesystem::path path{};

  friend std::strong_ordering operator<=>(const CheckpointFile& a, const CheckpointFile& b) {
    if (const auto order = a.epochs <=> b.epochs; std::is_neq(order)) return order;
    return a.batches <=> b.batches;
  }
  friend bool operator==(const CheckpointFile& a, const CheckpointFile& b) { return std::is_eq(a <=> b); }
};

inline constexpr std::string_view checkpoint_stem = "checkpoint-";
inline constexpr std::string_view checkpoint_extension = ".safetensors";

/// checkpoint-3.safetensors after three epochs, checkpoint-3-120.safetensors after 120 batches more.
inline std::string checkpoint_name(Index epochs, Index batches) {
  return concat(checkpoint_stem, epochs, batches > 0 ? concat('-', batches) : "", checkpoint_extension);
}

/// The checkpoints in a folder, the furthest first; none where there is no such folder. Throws Error when it cannot be read.
inline std::vector<CheckpointFile> checkpoint_files(const std::filesystem::path& folder) {
  std::vector<CheckpointFile> files;
  std::error_code error;
  if (!std::filesystem::exists(folder, error) && !error) return files;
  std::filesystem::directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    CheckpointFile file{.path = entry->path()};
    if (!name.starts_with(checkpoint_stem)) continue;
    const char* const end = name.data() + name.size();
    const char* position = std::from_chars(name.data() + checkpoint_stem.size(), end, file.epochs).ptr;
    if (position != end && *position == '-') std::from_chars(position + 1, end, file.batches);
    const bool counts = file.epochs >= 0 && file.batches >= 0;
    if (counts && name == checkpoint_name(file.epochs, file.batches)) files.push_back(file);
  }
  if (error) fail("cannot read the folder \"", folder.string(), "\": ", error.message());
  std::sort(files.rbegin(), files.rend());
  return files;
}

/// A checkpoint that is whole, with its checksum. Throws Error otherwise.
inline SafeTensors whole_checkpoint(const std::filesystem::path& path) {
  SafeTensors file = SafeTensors::load(path);
  in_file(path, [&] { check_seal(file); });
  return file;
}

inline bool is_whole_checkpoint(const std::filesystem::path& path) {
  try {
    whole_checkpoint(path);
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// Keeps a folder to one run as long as it lives, also where another run died without giving it back.
class FolderLock {
 public:
  /// Throws Error when another run has the folder, or it cannot be written.
  explicit FolderLock(const std::filesystem::path& folder) {
#ifdef NORMNET_POSIX_FILES
    const std::filesystem::path path = folder / ".lock";
    descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail("cannot write \"", path.string(), "\": ", std::generic_category().message(errno));
    if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      const int reason = errno;
      close(descriptor_);
      if (reason == EWOULDBLOCK) fail("another run writes checkpoints to \"", folder.string(), "\"");
      fail("cannot lock \"", path.string(), "\": ", std::generic_category().message(reason));
    }
#else
    (void)folder;
#endif
  }
#ifdef NORMNET_POSIX_FILES
  ~FolderLock() { close(descriptor_); }
#endif
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI

namespace normnet::inline NORMNET_ABI {}  // namespace normnet

namespace normnet::inline NORMNET_ABI {

/// Writes a run's checkpoints to a folder, checkpoint-3.safetensors after three epochs, checkpoint-3-120.safetensors 120 batches
/// later, and keeps the last ones:
///
///     const TrainingState<float> state{net, optimizer, &scheduler};
///     auto checkpoint = load_newest_checkpoint("run", state, options, &std::cerr).value_or(Checkpoint{.options = options});
///     CheckpointFolder folder("run", {.keep = 3});
///     ... .on_epoch_end = [&](const EpochRecord& epoch) {
///       checkpoint.history.epochs.push_back(epoch);
///       checkpoint.position = trainer.position();
///       folder.save(state, checkpoint);
///       return true;
///     }
///
/// One run at a time has the folder. An old checkpoint goes when the new one is on the disk, never before.
class CheckpointFolder {
 public:
  struct Options {
    Index keep = 3;  ///< checkpoints
  };

  /// Makes the folder if there is none, and removes what a run that died left half written. Throws Error when keep is below 1,
  /// the folder cannot be written, or another run has it.
  explicit CheckpointFolder(const std::filesystem::path& folder, const Options& options)
      : path_(made(folder)), options_(options), lock_(folder) {
    if (options.keep < 1) fail("CheckpointFolder: expected to keep at least 1 checkpoint, got ", options.keep);
    std::error_code error;
    std::filesystem::directory_iterator entry(folder, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
      const std::string name = entry->path().filename().string();
      std::error_code ignored;  // it takes room, no more
      if (file_of_leftover(name).starts_with(normnet_impl::checkpoint_stem)) {
        std::filesystem::remove(entry->path(), ignored);
      }
    }
    if (error) fail("cannot read the folder \"", folder.string(), "\": ", error.message());
  }
  explicit CheckpointFolder(const std::filesystem::path& folder) : CheckpointFolder(folder, Options{}) {}

  const std::filesystem::path& path() const { return path_; }

  /// Writes a checkpoint and removes those that are too many. Returns its path. Throws Error when it cannot be written, with all
  /// others still there, and when the folder holds a whole checkpoint that is further: this is then the beginning of another run.
  template <class T>
  std::filesystem::path save(const TrainingState<T>& state, const Checkpoint& checkpoint) {
    const Index epochs = checkpoint.position.epoch - 1, batches = checkpoint.position.done.batches;
    const normnet_impl::CheckpointFile saved{epochs, batches, path_ / normnet_impl::checkpoint_name(epochs, batches)};
    for (const normnet_impl::CheckpointFile& file : normnet_impl::checkpoint_files(path_)) {
      if (file <= saved) break;
      if (normnet_impl::is_whole_checkpoint(file.path)) {
        fail("cannot write \"", saved.path.string(), "\": the folder holds \"", file.path.filename().string(),
             "\", of a run that was further: go on with that, take another folder, or remove it");
      }
    }
    save_checkpoint(saved.path, state, checkpoint);
    Index kept = 0;
    for (const normnet_impl::CheckpointFile& file : normnet_impl::checkpoint_files(path_)) {
      if (file > saved || ++kept <= options_.keep) continue;
      std::error_code error;
      std::filesystem::remove(file.path, error);
      if (error) fail("cannot remove \"", file.path.string(), "\": ", error.message());
    }
    return saved.path;
  }

 private:
  static const std::filesystem::path& made(const std::filesystem::path& folder) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) fail("cannot make the folder \"", folder.string(), "\": ", error.message());
    return folder;
  }

  std::filesystem::path path_;
  Options options_;
  normnet_impl::FolderLock lock_;
};

/// Puts a run back to its newest checkpoint in a folder, which it only reads; see load_checkpoint(). One that is damaged is left
/// out in favour of the one before, which a line to `log` tells. Nothing, where the folder holds no checkpoint. Throws Error when
/// all of them are damaged, and when the newest that is whole belongs to another run.
template <class T>
std::optional<Checkpoint> load_newest_checkpoint(const std::filesystem::path& folder, const TrainingState<T>& state,
                                                 const NamedOptions& options = {}, std::ostream* log = nullptr) {
  std::string damage;
  for (const normnet_impl::CheckpointFile& file : normnet_impl::checkpoint_files(folder)) {
    std::optional<SafeTensors> contents;
    try {
      contents = normnet_impl::whole_checkpoint(file.path);
    } catch (const Error& error) {
      damage = error.what();
      if (log != nullptr) *log << damage << "; going back to the checkpoint before" << std::endl;
      continue;
    }
    return normnet_impl::in_file(file.path, [&] { return from_safetensors(*contents, state, options); });
  }
  if (!damage.empty()) fail("expected a checkpoint that is whole in \"", folder.string(), "\", got none: ", damage);
  return std::nullopt;
}

}  // namespace normnet::inline NORMNET_ABI
