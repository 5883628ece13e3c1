#include "failure.h"

namespace nrn {

/* Length of the valid UTF-8 sequence at text[i], or 0. */
static size_t utf8_length(const std::string & text, size_t i) {
    const auto byte = [&](size_t k) {
        return (unsigned char)text[k];
    };
    const unsigned char c = byte(i);
    const size_t n = c < 0x80                ? 1
                     : c >= 0xC2 && c < 0xE0 ? 2
                     : c >= 0xE0 && c < 0xF0 ? 3
                     : c >= 0xF0 && c < 0xF5 ? 4
                                             : 0;
    if (n == 0 || i + n > text.size()) {
        return 0;
    }
    for (size_t k = 1; k < n; k++) {
        if ((byte(i + k) & 0xC0) != 0x80) {
            return 0;
        }
    }
    const bool overlong = (c == 0xE0 && byte(i + 1) < 0xA0) || (c == 0xF0 && byte(i + 1) < 0x90);
    const bool surrogate = c == 0xED && byte(i + 1) >= 0xA0;
    const bool too_large = c == 0xF4 && byte(i + 1) >= 0x90;
    return overlong || surrogate || too_large ? 0 : n;
}

void append_json_string(std::string & out, const std::string & text) {
    static const char * hex = "0123456789abcdef";
    out += '"';
    for (size_t i = 0; i < text.size();) {
        const unsigned char c = text[i];
        if (c >= 0x80) {
            const size_t n = utf8_length(text, i);
            if (n == 0) {
                out += "\xEF\xBF\xBD";
                i += 1;
            } else {
                out.append(text, i, n);
                i += n;
            }
            continue;
        }
        switch (c) {
        case '"':
            out += "\\\"";
            break;
        case '\\':
            out += "\\\\";
            break;
        case '\n':
            out += "\\n";
            break;
        case '\r':
            out += "\\r";
            break;
        case '\t':
            out += "\\t";
            break;
        default:
            if (c < 0x20) {
                out += "\\u00";
                out += hex[c >> 4];
                out += hex[c & 15];
            } else {
                out += (char)c;
            }
        }
        i++;
    }
    out += '"';
}

static const char * error_type_of(int32_t status) {
    switch (status) {
    case NRN_E_ARGUMENT:
        return "invalid_request_error";
    case NRN_E_CONTEXT:
        return "exceed_context_size_error";
    case NRN_E_UNSUPPORTED:
        return "not_supported_error";
    case NRN_E_NOT_FOUND:
        return "not_found_error";
    case NRN_E_QUEUE:
        return "overloaded_error";
    case NRN_E_MEMORY:
        return "memory_error";
    case NRN_E_LOAD:
        return "load_error";
    case NRN_E_CANCELLED:
        return "cancelled";
    case NRN_E_FAULT:
        return "device_fault";
    default:
        return "server_error";
    }
}

std::string error_payload(int32_t status, const std::string & message, const json & details) {
    json payload = details.is_object() ? details : json::object();
    payload["message"] = message;
    payload["type"] = error_type_of(status);
    return payload.dump_safe();
}

int64_t get_or(const json & object, const char * key, int64_t fallback, int64_t min, int64_t max) {
    if (!object.contains(key) || object.at(key).is_null()) {
        return fallback;
    }
    const json & value = object.at(key);
    if (!value.is_number_integer()) {
        throw failure(NRN_E_ARGUMENT, std::string("'") + key + "' must be an integer");
    }
    const int64_t number = value.get<int64_t>();
    if (number < min || number > max) {
        throw failure(NRN_E_ARGUMENT, std::string("'") + key + "' is " + std::to_string(number) +
                                          ", outside " + std::to_string(min) + " to " +
                                          std::to_string(max));
    }
    return number;
}

} // namespace nrn
