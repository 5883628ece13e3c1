#include "fill-prompt.h"

namespace nrn {

/* The prompt of a text that is filled in before a suffix, as the model was trained to. */
static llama_tokens fill_prompt(
    const model & owner, const std::string & prefix, const std::string & suffix) {
    const llama_vocab * vocab = owner.view->vocab;
    const llama_token begin = llama_vocab_fim_pre(vocab);
    const llama_token behind = llama_vocab_fim_suf(vocab);
    const llama_token middle = llama_vocab_fim_mid(vocab);
    if (begin == LLAMA_TOKEN_NULL || behind == LLAMA_TOKEN_NULL || middle == LLAMA_TOKEN_NULL) {
        throw failure(NRN_E_ARGUMENT, "'suffix' is not supported: model '" + owner.name +
                                          "' was not trained to fill in text before one");
    }
    llama_tokens tokens;
    if (llama_vocab_get_add_bos(vocab)) {
        tokens.push_back(llama_vocab_bos(vocab));
    }
    /* Text is text here: what looks like a special token in a file of code is none. */
    const llama_tokens before = common_tokenize(vocab, prefix, false, false);
    const llama_tokens after = common_tokenize(vocab, suffix, false, false);
    tokens.push_back(begin);
    tokens.insert(tokens.end(), before.begin(), before.end());
    tokens.push_back(behind);
    tokens.insert(tokens.end(), after.begin(), after.end());
    tokens.push_back(middle);
    return tokens;
}

void join_suffix(const model & owner, json & body) {
    const std::string suffix = get_or<std::string>(body, "suffix", "");
    if (body.contains("suffix")) {
        body.erase("suffix");
    }
    if (suffix.empty()) {
        return;
    }
    if (!body.contains("prompt") || !body.at("prompt").is_string()) {
        throw failure(NRN_E_ARGUMENT, "'prompt' must be one string when there is a 'suffix'");
    }
    body["prompt"] = fill_prompt(owner, body.at("prompt").get<std::string>(), suffix);
}

} // namespace nrn
