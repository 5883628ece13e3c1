// What was found out about model files a moment ago, so that a load does not read again what its plan has read.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace nrn {

/* Path, size and time of a file: another content has another one. */
std::string identity_of(const std::string & path);

/* Values by key, for a minute. Any thread. */
template <typename T> class recent {
  public:
    std::optional<T> find(const std::string & key) {
        std::lock_guard<std::mutex> lock(mutex);
        const auto it = entries.find(key);
        if (it == entries.end() || now() - it->second.since > AGE_MAX) {
            return std::nullopt;
        }
        return it->second.value;
    }

    void keep(const std::string & key, const T & value) {
        std::lock_guard<std::mutex> lock(mutex);
        if (entries.size() >= ENTRIES_MAX) {
            entries.clear();
        }
        entries[key] = { value, now() };
    }

  private:
    using clock = std::chrono::steady_clock;
    /* Callers load what they have planned at once. */
    static constexpr std::chrono::seconds AGE_MAX{ 60 };
    static constexpr size_t ENTRIES_MAX = 64;
    struct entry {
        T value;
        clock::time_point since;
    };
    static clock::time_point now() { return clock::now(); }
    std::mutex mutex;
    std::unordered_map<std::string, entry> entries;
};

} // namespace nrn
