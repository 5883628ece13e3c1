#include "stop-strings.h"

#include <algorithm>

namespace nrn {

/* Length of the longest end of the text that is the beginning of the string, and not all of it. */
static size_t open_length(const std::string & text, const std::string & string) {
    for (size_t length = std::min(text.size(), string.size() - 1); length > 0; length--) {
        if (text.compare(text.size() - length, length, string, 0, length) == 0) {
            return length;
        }
    }
    return 0;
}

std::string stop_scanner::take(const std::string & piece) {
    held += piece;
    if (found) {
        return "";
    }
    size_t first_end = std::string::npos;
    size_t begin = 0;
    size_t open = 0;
    for (const std::string & stop : stops) {
        const size_t at = held.find(stop);
        if (at == std::string::npos) {
            open = std::max(open, open_length(held, stop));
            continue;
        }
        const size_t end = at + stop.size();
        if (end < first_end || (end == first_end && at < begin)) {
            first_end = end;
            begin = at;
            matched = stop;
        }
    }
    found = first_end != std::string::npos;
    const size_t length = found ? begin : held.size() - open;
    const std::string out = held.substr(0, length);
    held.erase(0, length);
    return out;
}

std::string stop_scanner::finish() {
    if (found) {
        return "";
    }
    std::string rest;
    rest.swap(held);
    return rest;
}

} // namespace nrn
