// How many processors this process may use: what its affinity and its container's quota leave of the machine.
#pragma once

#include <normnet/core/requirements.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <locale>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

namespace normnet::normnet_impl {

/// A file system of control groups, as a line of /proc/self/mountinfo names it.
struct CgroupMount {
  std::string root;   ///< the group that is mounted, "/" outside of containers
  std::string point;  ///< where it is mounted
};

/// Whether a list such as "cpu,cpuacct" holds the name.
inline bool is_listed(std::string_view name, std::string_view list) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    if (list.substr(0, end) == name) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

/// The mount of version 2 (`controller` empty), or that of a controller of version 1. Nothing found leaves `point` empty.
inline CgroupMount find_cgroup_mount(const std::string& system, std::string_view controller) {
  std::ifstream file(system + "/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    // ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [MORE...] - TYPE SOURCE OPTIONS
    std::istringstream fields(line);
    std::string skipped, type, source, options;
    CgroupMount mount;
    fields >> skipped >> skipped >> skipped >> mount.root >> mount.point;
    while (fields >> skipped && skipped != "-") {
    }
    fields >> type >> source >> options;
    if (controller.empty() && type == "cgroup2") return mount;
    if (!controller.empty() && type == "cgroup" && is_listed(controller, options)) return mount;
  }
  return {};
}

/// The path of this process's group, from a line HIERARCHY:CONTROLLERS:PATH of /proc/self/cgroup.
inline std::string find_cgroup_path(const std::string& system, std::string_view controller) {
  std::ifstream file(system + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool found = controller.empty() ? controllers.empty() : is_listed(controller, controllers);
    if (found) return line.substr(second + 1);
  }
  return "/";
}

/// The processors that the group in `folder` may use at once: quota / period; infinity without a quota.
inline double quota_in(const std::string& folder) {
  constexpr double unlimited = std::numeric_limits<double>::infinity();
  const auto ratio = [](std::istream& quota_text, std::istream& period_text) {
    double quota = 0, period = 0;
    quota_text.imbue(std::locale::classic());
    period_text.imbue(std::locale::classic());
    if (!(quota_text >> quota) || !(period_text >> period) || quota <= 0 || period <= 0)
      return unlimited;  // "max", "-1" or no file
    return quota / period;
  };
  if (std::ifstream both(folder + "/cpu.max"); both) return ratio(both, both);
  std::ifstream quota(folder + "/cpu.cfs_quota_us"), period(folder + "/cpu.cfs_period_us");
  return ratio(quota, period);
}

/// The least quota of this process's control group and those around it, in processors; infinity without one. Reads /proc and
/// the mounted control groups of versions 1 and 2 below the folder `system`.
inline double cgroup_quota(const std::string& system = "") {
  double least = std::numeric_limits<double>::infinity();
  for (const std::string_view controller : {"", "cpu"}) {
    const CgroupMount mount = find_cgroup_mount(system, controller);
    if (mount.point.empty()) continue;
    std::string path = find_cgroup_path(system, controller);
    if (mount.root != "/" && path.starts_with(mount.root)) path.erase(0, mount.root.size());
    while (true) {
      least = std::min(least, quota_in(system + mount.point + path));
      const std::size_t parent = path.rfind('/');
      if (parent == std::string::npos || path == "/") break;
      path.erase(parent);
    }
  }
  return least;
}

/// The processors that the calling thread's affinity allows; 0 where the system does not tell.
inline int affinity_processors() {
#ifdef __linux__
  cpu_set_t* const set = CPU_ALLOC(4096);
  const std::size_t bytes = CPU_ALLOC_SIZE(4096);
  const int count = set != nullptr && sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
  CPU_FREE(set);
  return count;
#else
  return 0;
#endif
}

/// The threads that can run at once: one for each processor that the affinity allows, or fewer where a quota pays for fewer. A thread
/// can use a fraction of a processor, so a quota of 1.5 processors gives two threads, and one of half a processor gives one.
inline int available_processors(const std::string& system = "") {
  const int allowed = affinity_processors();
  const int processors = allowed > 0 ? allowed : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return static_cast<int>(std::clamp(std::ceil(cgroup_quota(system)), 1.0, static_cast<double>(processors)));
}

}  // namespace normnet::normnet_impl
