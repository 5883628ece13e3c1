// What every part of the library shares: its failure type, JSON and the clock.
#pragma once

#include "json.h"
#include "neuron.h"

#include <cstdint>
#include <stdexcept>
#include <string>

namespace nrn {

using json = common_json;

/* An expected failure: becomes a negative status at the C boundary or an ERROR event's status. */
struct failure : std::runtime_error {
    int32_t status;
    json details; /* further members of the ERROR payload; an object or null */

    failure(int32_t status, const std::string & text, json details = nullptr)
        : std::runtime_error(text), status(status), details(std::move(details)) {}
};

/* Appends text as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD, as models
 * emit such bytes. */
void append_json_string(std::string & out, const std::string & text);

/* {"message": …, "type": …} plus the details. */
std::string error_payload(
    int32_t status, const std::string & message, const json & details = nullptr);

/* The member of a JSON object when it is there and not null, else the default; a wrong type is an
 * argument failure. */
template <typename T> T get_or(const json & object, const char * key, T fallback) {
    if (!object.contains(key) || object.at(key).is_null()) {
        return fallback;
    }
    try {
        return object.at(key).get<T>();
    } catch (const std::exception & e) {
        throw failure(NRN_E_ARGUMENT, std::string("Wrong type for '") + key + "': " + e.what());
    }
}

int64_t get_or(const json & object, const char * key, int64_t fallback, int64_t min, int64_t max);

} // namespace nrn
