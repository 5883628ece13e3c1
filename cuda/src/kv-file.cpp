// Prompts kept across a reload: slots' KV and the host prompt cache in one file that is checked
// wholly before it is used.
#include "device.h"

#include <cstdio>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

namespace nrn {

/*
 * Layout: magic, fingerprint length, fingerprint, entries, then the checksum of all before it.
 * Entry: tokens, target bytes, draft bytes (each a uint64), then the three arrays.
 */
static const char MAGIC[8] = { 'N', 'R', 'N', 'K', 'V', '0', '0', '2' };

/* An entry's three lengths, and the checksum behind the last one. */
static constexpr uint64_t ENTRY_BYTES = 4 * sizeof(uint64_t);

/* Eight bytes per round: 90 MB take about 20 ms. Guards against damage, not against intent. */
struct checksum {
    uint64_t hash = 0x9e3779b97f4a7c15ull;

    void add(const void * data, size_t size) {
        const unsigned char * bytes = static_cast<const unsigned char *>(data);
        uint64_t word;
        for (; size >= 8; bytes += 8, size -= 8) {
            memcpy(&word, bytes, 8);
            mix(word);
        }
        word = size;
        memcpy(&word, bytes, size);
        mix(word ^ 0xff51afd7ed558ccdull);
    }

    void mix(uint64_t word) {
        hash = (hash ^ word) * 0xc4ceb9fe1a85ec53ull;
        hash ^= hash >> 29;
    }
};

class file_writer {
  public:
    explicit file_writer(const std::string & path) : path(path), temporary(path + ".part") {
        file = fopen(temporary.c_str(), "wb");
        if (!file) {
            throw failure(NRN_E_ARGUMENT, "Cannot write '" + temporary + "': " + strerror(errno));
        }
    }

    ~file_writer() {
        if (file) {
            fclose(file);
            unlink(temporary.c_str());
        }
    }

    void put(const void * data, size_t size) {
        sum.add(data, size);
        put_raw(data, size);
    }

    void put_number(uint64_t value) { put(&value, sizeof(value)); }

    /* The file appears under its name only when it is whole. */
    void commit() {
        put_raw(&sum.hash, sizeof(sum.hash));
        const bool closed = fclose(file) == 0;
        file = nullptr;
        if (!closed || rename(temporary.c_str(), path.c_str()) != 0) {
            const std::string why = strerror(errno);
            unlink(temporary.c_str());
            throw failure(NRN_E_INTERNAL, "Cannot write '" + path + "': " + why);
        }
    }

    uint64_t written = 0;

  private:
    void put_raw(const void * data, size_t size) {
        if (size > 0 && fwrite(data, 1, size, file) != size) {
            throw failure(NRN_E_INTERNAL, "Cannot write '" + temporary + "': " + strerror(errno));
        }
        written += size;
    }

    std::string path;
    std::string temporary;
    FILE * file = nullptr;
    checksum sum;
};

json save_prompts(model & target, const std::string & path, uint64_t bytes_max) {
    const int64_t start = ggml_time_us();
    file_writer file(path);
    file.put(MAGIC, sizeof(MAGIC));
    file.put_number(target.fingerprint.size());
    file.put(target.fingerprint.data(), target.fingerprint.size());
    uint64_t tokens_saved = 0;
    uint64_t left_out = 0;
    target.server->export_prompts(
        [&](const llama_tokens & tokens, const std::vector<uint8_t> & main,
            const std::vector<uint8_t> & draft) {
            const uint64_t size = tokens.size() * sizeof(llama_token) + main.size() + draft.size();
            if (file.written + size + ENTRY_BYTES > bytes_max) {
                left_out += tokens.size();
                return;
            }
            file.put_number(tokens.size());
            file.put_number(main.size());
            file.put_number(draft.size());
            file.put(tokens.data(), tokens.size() * sizeof(llama_token));
            file.put(main.data(), main.size());
            file.put(draft.data(), draft.size());
            tokens_saved += tokens.size();
        });
    file.commit();
    return json{ { "tokens", tokens_saved }, { "left_out", left_out }, { "bytes", file.written },
        { "ms", (ggml_time_us() - start) / 1000.0 } };
}

/* A file held in memory, read front to back with every length checked. */
class file_reader {
  public:
    explicit file_reader(const std::string & path) : path(path) {
        FILE * file = fopen(path.c_str(), "rb");
        if (!file) {
            throw failure(NRN_E_NOT_FOUND, "Cannot read '" + path + "': " + strerror(errno));
        }
        struct stat info;
        const bool known = fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode);
        bytes.resize(known ? (size_t)info.st_size : 0);
        const bool whole = known && fread(bytes.data(), 1, bytes.size(), file) == bytes.size();
        fclose(file);
        if (!whole || bytes.size() < sizeof(MAGIC) + 2 * sizeof(uint64_t)) {
            refuse("it is too short");
        }
        checksum sum;
        end = bytes.size() - sizeof(uint64_t);
        uint64_t expected;
        memcpy(&expected, bytes.data() + end, sizeof(expected));
        add_parts(sum);
        if (sum.hash != expected) {
            refuse("its checksum is wrong");
        }
        at = first_entry;
    }

    [[noreturn]] void refuse(const std::string & why) const {
        throw failure(
            NRN_E_ARGUMENT, "Cannot restore '" + path + "': " + why + "; nothing was restored");
    }

    uint64_t take_number() {
        uint64_t value;
        memcpy(&value, take(sizeof(value)), sizeof(value));
        return value;
    }

    const uint8_t * take(uint64_t size) {
        if (size > end - at) {
            refuse("a length in it is wrong");
        }
        const uint8_t * data = bytes.data() + at;
        at += size;
        return data;
    }

    bool is_done() const { return at == end; }
    std::string fingerprint;
    size_t size() const { return bytes.size(); }

  private:
    /* The checksum runs over the same pieces as in writing, so the walk checks the structure as
     * well. */
    void add_parts(checksum & sum) {
        at = 0;
        const auto piece = [&](uint64_t size) {
            const uint8_t * data = take(size);
            sum.add(data, size);
            return data;
        };
        const auto number = [&] {
            uint64_t value;
            memcpy(&value, piece(sizeof(value)), sizeof(value));
            return value;
        };
        if (memcmp(piece(sizeof(MAGIC)), MAGIC, sizeof(MAGIC)) != 0) {
            refuse("it is not a KV file of this version");
        }
        const uint64_t length = number();
        fingerprint.assign(reinterpret_cast<const char *>(piece(length)), length);
        first_entry = at;
        while (at < end) {
            const uint64_t tokens = number();
            const uint64_t main = number();
            const uint64_t draft = number();
            if (tokens > (end - at) / sizeof(llama_token)) {
                refuse("a length in it is wrong");
            }
            piece(tokens * sizeof(llama_token));
            piece(main);
            piece(draft);
        }
    }

    std::string path;
    std::vector<uint8_t> bytes;
    size_t at = 0;
    size_t end = 0;
    size_t first_entry = 0;
};

json restore_prompts(model & target, const std::string & path) {
    const int64_t start = ggml_time_us();
    file_reader file(path);
    if (file.fingerprint != target.fingerprint) {
        file.refuse("it belongs to another model or cache layout");
    }
    uint64_t tokens_restored = 0;
    while (!file.is_done()) {
        const uint64_t n_tokens = file.take_number();
        const uint64_t n_main = file.take_number();
        const uint64_t n_draft = file.take_number();
        llama_tokens tokens(n_tokens);
        memcpy(tokens.data(), file.take(n_tokens * sizeof(llama_token)),
            n_tokens * sizeof(llama_token));
        const uint8_t * main = file.take(n_main);
        const uint8_t * draft = file.take(n_draft);
        if (target.server->import_prompt(
                tokens, { main, main + n_main }, { draft, draft + n_draft })) {
            tokens_restored += n_tokens;
        }
    }
    return json{ { "tokens", tokens_restored }, { "bytes", file.size() },
        { "ms", (ggml_time_us() - start) / 1000.0 } };
}

} // namespace nrn
