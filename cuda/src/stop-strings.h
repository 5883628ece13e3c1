// Finds stop strings in text that comes bit by bit.
#pragma once

#include <string>
#include <vector>

namespace nrn {

/*
 * Lets text through up to the first stop string. What comes out does not depend on how the text was
 * cut: of several matches the one that ends first counts, as if the text came byte by byte, and of
 * those the longest.
 */
class stop_scanner {
  public:
    void set(const std::vector<std::string> & stop_strings) { stops = stop_strings; }
    bool active() const { return !stops.empty(); }
    bool hit() const { return found; }
    /* The string that was hit. */
    const std::string & stop() const { return matched; }
    /* Bytes that were taken and not let through: may become a stop string, or lie at and behind
     * one. */
    size_t withheld() const { return held.size(); }

    /* Takes a piece and returns what can go out. Nothing more comes out after a hit. */
    std::string take(const std::string & piece);
    /* The text is complete: what was held back goes out, too. */
    std::string finish();

  private:
    std::vector<std::string> stops;
    std::string held;
    std::string matched;
    bool found = false;
};

} // namespace nrn
