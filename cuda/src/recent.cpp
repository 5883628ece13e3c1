#include "recent.h"

#include <sys/stat.h>

namespace nrn {

std::string identity_of(const std::string & path) {
    struct stat facts = {};
    if (stat(path.c_str(), &facts) != 0) {
        return path;
    }
    return path + ":" + std::to_string(facts.st_size) + ":" + std::to_string(facts.st_mtim.tv_sec) + "." +
           std::to_string(facts.st_mtim.tv_nsec) + ":" + std::to_string(facts.st_ino);
}

} // namespace nrn
