#include "recent-plans.h"

#include <sys/stat.h>

namespace nrn {

/* Members of a job that change nothing about its bytes. */
static constexpr const char * WITHOUT_BYTES[] = { "op", "model", "weight", "prompt_cache_mib", "warmup", "poll",
    "chat_template" };

std::string identity_of(const std::string & path) {
    struct stat facts = {};
    if (stat(path.c_str(), &facts) != 0) {
        return path;
    }
    return path + ":" + std::to_string(facts.st_size) + ":" + std::to_string(facts.st_mtim.tv_sec) + "." +
           std::to_string(facts.st_mtim.tv_nsec) + ":" + std::to_string(facts.st_ino);
}

/* Every text may be a path: one that is none has no identity but itself. */
static void add_files(std::string & key, const json & value) {
    if (value.is_string()) {
        key += "|" + identity_of(value.get<std::string>());
    } else if (value.is_object()) {
        for (const auto & [name, each] : value.items()) {
            add_files(key, each);
        }
    } else if (value.is_array()) {
        for (const json & each : value) {
            add_files(key, each);
        }
    }
}

std::string plan_key(const json & job, const std::vector<int> & indices) {
    json wanted = job;
    for (const char * name : WITHOUT_BYTES) {
        wanted.erase(name);
    }
    std::string key = wanted.dump_safe();
    for (int index : indices) {
        key += "," + std::to_string(index);
    }
    add_files(key, wanted);
    return key;
}

} // namespace nrn
