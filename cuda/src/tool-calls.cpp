#include "tool-calls.h"
#include "call-grammar.h"
#include "events.h"
#include "tool-history.h"

#include "json-schema.h"
#include "llama-cpp.h"

#include <random>

namespace nrn {

/* Larger grammars take seconds to parse, and their rules are looked at for every token. */
static const size_t GRAMMAR_BYTES_MAX = 4 * 1024 * 1024;

struct tool_request {
    json tools = json::array();    /* all, as the model is shown them */
    json callable = json::array(); /* those that may be called */
    bool required = false;
    bool many = false;
    bool any() const { return !tools.empty(); }
};

static json find_tool(const json & tools, const std::string & name) {
    for (const json & tool : tools) {
        if (tool.at("function").at("name").get<std::string>() == name) {
            return tool;
        }
    }
    throw failure(NRN_E_ARGUMENT, "'tool_choice' names '" + name + "', which is not in 'tools'");
}

/* A schema that the grammar compiler refuses means any object: clients cannot change their tools'
 * schemas. */
static void soften_schemas(json & tools) {
    for (auto & tool : tools) {
        if (!tool.is_object() || !tool.contains("function") || !tool.at("function").is_object() ||
            !tool.at("function").contains("name") || !tool.at("function").at("name").is_string()) {
            throw failure(NRN_E_ARGUMENT, "Each of 'tools' must be a function with a name");
        }
        try {
            common_chat_schema_from_json(common_chat_tool_parameters(tool.at("function")));
        } catch (const std::exception &) {
            tool["function"]["parameters"] = json{ { "type", "object" } };
        }
    }
}

static tool_request read_tools(const json & body, bool many) {
    tool_request request;
    const json choice = body.contains("tool_choice") ? body.at("tool_choice") : json();
    const std::string word = choice.is_string() ? choice.get<std::string>() : "";
    if (body.contains("tools") && body.at("tools").is_array() && word != "none") {
        request.tools = body.at("tools");
        soften_schemas(request.tools);
    }
    request.required = word == "required" || choice.is_object();
    if (request.required && !request.any()) {
        throw failure(NRN_E_ARGUMENT, "'tool_choice' demands a call, but there are no 'tools'");
    }
    request.callable = request.tools;
    request.many = get_or(body, "parallel_tool_calls", many);
    if (choice.is_object()) {
        const json called = choice.contains("function") ? choice.at("function") : choice;
        request.callable = json::array();
        request.callable.push_back(
            find_tool(request.tools, get_or<std::string>(called, "name", "")));
        request.many = false;
    }
    return request;
}

/* The schema that the answer must keep, or null. An absent or empty one means any object. */
static json wanted_schema(const json & body) {
    json schema;
    const json format = body.contains("response_format") ? body.at("response_format") : json();
    const std::string type = format.is_object() ? get_or<std::string>(format, "type", "") : "";
    if (type == "json_object") {
        schema = format.contains("schema") ? format.at("schema") : json::object();
    } else if (type == "json_schema") {
        const json wrapper =
            format.contains("json_schema") ? format.at("json_schema") : json::object();
        schema = wrapper.contains("schema") ? wrapper.at("schema") : json::object();
    } else if (body.contains("json_schema")) {
        schema = body.at("json_schema");
    }
    if (schema.is_object() && schema.empty()) {
        schema["type"] = "object";
    }
    return schema;
}

static void forget(json & body, std::initializer_list<const char *> keys) {
    for (const char * key : keys) {
        if (body.contains(key)) {
            body.erase(key);
        }
    }
}

static bool wants_no_thinking(const json & body, const server_chat_params & options) {
    const json arguments =
        body.contains("chat_template_kwargs") ? body.at("chat_template_kwargs") : json::object();
    return get_or<std::string>(body, "reasoning_effort", "") == "none" ||
           !get_or<bool>(arguments, "enable_thinking", options.enable_thinking);
}

/* Where the reasoning begins in the generation prompt; npos when it does not. */
static size_t reasoning_begins(const json & params) {
    const std::string start = get_or<std::string>(params, "reasoning_budget_start_tag", "");
    const std::string prompt = get_or<std::string>(params, "generation_prompt", "");
    return start.empty() ? std::string::npos : prompt.rfind(start);
}

/* Whether the answer may begin with reasoning that is to be told apart from it. */
static bool thinks(const json & params, const json & body, const server_chat_params & options) {
    const std::string format = get_or<std::string>(body, "reasoning_format", "");
    if ((format.empty() ? options.reasoning_format : common_reasoning_format_from_name(format)) ==
        COMMON_REASONING_FORMAT_NONE) {
        return false;
    }
    /* The tags stand in the prompt also where the wish not to think has closed them at once. */
    return !wants_no_thinking(body, options) || reasoning_begins(params) != std::string::npos;
}

/*
 * A template that does not heed the wish not to think has begun the reasoning: it is closed, as
 * templates that do heed it close it. A budget of no tokens will not do, since the prompt's own
 * tokens count against its end.
 */
static void end_unwanted_reasoning(
    json & params, const json & body, const server_chat_params & options) {
    const size_t begin = reasoning_begins(params);
    if (begin == std::string::npos || !wants_no_thinking(body, options)) {
        return;
    }
    const std::string prompt = params.at("generation_prompt");
    std::string closing;
    for (const json & tag : params.at("reasoning_budget_end_tags")) {
        const std::string end = tag;
        if (prompt.find(end, begin) != std::string::npos) {
            return;
        }
        if (closing.empty() && end != CALL_START) {
            closing = end;
        }
    }
    const size_t trimmed = closing.find_first_not_of('\n');
    if (trimmed != std::string::npos) {
        closing = (prompt.back() == '\n' ? "" : "\n") + closing.substr(trimmed);
        params["generation_prompt"] = prompt + closing;
        params["reasoning_budget_tokens"] = -1;
        params["prompt"] = params.at("prompt").get<std::string>() + closing;
    }
}

/* Some formats of llama.cpp have no grammar for a JSON answer. */
static json hold_to_schema(json params, const json & body, const server_chat_params & options) {
    const json schema = wanted_schema(body);
    if (schema.is_object() && !body.contains("grammar") && !holds_to_schema(params)) {
        answer_shape shape;
        shape.schema = schema;
        set_own_grammar(params, json::array(), shape, thinks(params, body, options));
    }
    return params;
}

/* One chat's way from a body to parameters; each attempt works on a copy of the body. */
class chat_planner {
  public:
    chat_planner(const model & owner, const json & body, std::vector<raw_buffer> & files)
        : owner(owner), options(owner.meta->chat_params), body(body), files(files),
          caps(common_chat_templates_get_caps(options.tmpls.get())),
          request(read_tools(body, caps["supports_parallel_tool_calls"])),
          schema(wanted_schema(body)), source(common_chat_templates_source(options.tmpls.get())) {
        knows_tools = caps["supports_tools"] && caps["supports_tool_calls"];
    }

    json plan() {
        json params = plan_any();
        if (request.any() && !parses(params)) {
            for (auto & tool : request.tools) {
                tool["function"]["parameters"] = json{ { "type", "object" } };
            }
            for (auto & tool : request.callable) {
                tool["function"]["parameters"] = json{ { "type", "object" } };
            }
            params = plan_any();
        }
        if (request.required) {
            params[CALLS_ONLY] = true;
        }
        return params;
    }

  private:
    const model & owner;
    const server_chat_params & options;
    json body;
    std::vector<raw_buffer> & files;
    std::map<std::string, bool> caps;
    tool_request request;
    json schema;
    std::string source;
    bool knows_tools = false;

    json plan_any() {
        forget(body, { "tool_choice", "parallel_tool_calls" });
        if (!request.any()) {
            return without_tools();
        }
        if (body.contains("grammar")) {
            throw failure(NRN_E_ARGUMENT, "'grammar' cannot be combined with 'tools'");
        }
        /* Nothing may end a call but its grammar. */
        forget(body, { "ignore_eos" });
        if (request.required) {
            forget(body, { "stop", "response_format", "json_schema" });
            schema = json();
        }
        const bool own_text =
            !knows_tools || (schema.is_object() && source.find(CALL_START) == std::string::npos);
        if (!own_text) {
            /* A template may throw at a conversation that it cannot express; text can express all.
             */
            try {
                return with_native_tools();
            } catch (const failure &) {
                throw;
            } catch (const std::exception & e) {
                say_refused(e);
            }
        }
        return with_tools_as_text();
    }

    /* Whether the engine takes the grammar: what no check foresaw about a tool's schema must not
     * end a request. */
    bool parses(const json & params) const {
        const std::string grammar = get_or<std::string>(params, "grammar", "");
        log_capture quiet(true);
        llama_sampler_ptr sampler(
            grammar.empty() || grammar.size() > GRAMMAR_BYTES_MAX
                ? nullptr
                : llama_sampler_init_grammar(owner.view->vocab, grammar.c_str(), "root"));
        return grammar.empty() || grammar.size() > GRAMMAR_BYTES_MAX || sampler;
    }

    static void say_refused(const std::exception & e) {
        log_line(log_level::debug,
            std::string("tools are told as text, since the template refuses them: ") + e.what());
    }

    json render(json attempt) {
        files.clear();
        return render_chat(owner, attempt, files);
    }

    bool extracts_reasoning() const {
        const std::string format = get_or<std::string>(body, "reasoning_format", "");
        return (format.empty()
                       ? options.reasoning_format
                       : common_reasoning_format_from_name(format)) != COMMON_REASONING_FORMAT_NONE;
    }

    void fit_ids(json & messages) const {
        if (source.find("strings with length 9") != std::string::npos) {
            shorten_call_ids(messages);
        }
    }

    json without_tools() {
        forget(body, { "tools" });
        json & messages = body["messages"];
        if (!has_tool_history(messages)) {
            return hold_to_schema(render(body), body, options);
        }
        repair_calls(messages);
        if (knows_tools) {
            json attempt = body;
            fit_ids(attempt["messages"]);
            try {
                return hold_to_schema(render(attempt), body, options);
            } catch (const failure &) {
                throw;
            } catch (const std::exception & e) {
                say_refused(e);
            }
        }
        render_history(messages);
        return hold_to_schema(render(body), body, options);
    }

    json native_body(const json & tools, const char * choice) const {
        json attempt = body;
        attempt["tools"] = tools;
        attempt["tool_choice"] = choice;
        attempt["parallel_tool_calls"] = request.many;
        repair_calls(attempt["messages"]);
        fit_ids(attempt["messages"]);
        return attempt;
    }

    json with_native_tools() {
        if (!schema.is_object()) {
            json attempt = native_body(request.callable, request.required ? "required" : "auto");
            json params = render(attempt);
            const bool may_think =
                !get_or<std::string>(params, "reasoning_budget_start_tag", "").empty();
            if (request.required && may_think && !thinks(params, body, options)) {
                /* The wish not to think is no part of this prompt; the grammar must keep it. */
                attempt["reasoning_format"] = "none";
                params = render(attempt);
            }
            const bool native = request.required ? force_native_calls(params, request.callable)
                                                 : parses_calls(params, request.callable);
            if (native && (request.many || limit_to_one_call(params))) {
                if (request.callable.size() < request.tools.size()) {
                    params["prompt"] = render(native_body(request.tools, "auto")).at("prompt");
                }
                return params;
            }
            if (request.callable.size() == request.tools.size() &&
                !attempt.contains("reasoning_format")) {
                answer_in_our_convention(params); /* the prompt is the same */
                return params;
            }
        }
        return with_native_prompt();
    }

    /* The model is shown its tools as it knows them, but answers in our convention. */
    json with_native_prompt() {
        json attempt = native_body(request.tools, "auto");
        forget(attempt, { "response_format", "json_schema" });
        json params = render(attempt);
        answer_in_our_convention(params);
        return params;
    }

    json with_tools_as_text() {
        json attempt = body;
        forget(attempt, { "tools", "response_format", "json_schema" });
        json & messages = attempt["messages"];
        repair_calls(messages);
        render_history(messages);
        describe_tools(messages, request.tools);
        if (request.required) {
            add_system_text(messages, request.callable.size() == 1
                                          ? "Call the function " +
                                                request.callable.at((size_t)0)
                                                    .at("function")
                                                    .at("name")
                                                    .get<std::string>() +
                                                " now."
                                          : std::string("Call a function now."));
        }
        json params = render(attempt);
        answer_in_our_convention(params);
        return params;
    }

    void answer_in_our_convention(json & params) const {
        answer_shape shape;
        shape.calls = true;
        shape.many_calls = request.many;
        shape.schema = schema;
        shape.text = !request.required && !schema.is_object();
        set_own_grammar(params, request.callable, shape, thinks(params, body, options));
    }
};

static void check_grammar(const json & params) {
    const size_t bytes = params.contains("grammar") && params.at("grammar").is_string()
                             ? params.at("grammar").get<std::string>().size()
                             : 0;
    if (bytes > GRAMMAR_BYTES_MAX) {
        throw failure(NRN_E_ARGUMENT, "The tools or the schema make a grammar of " +
                                          std::to_string(bytes) + " bytes, at most " +
                                          std::to_string(GRAMMAR_BYTES_MAX) + " are allowed");
    }
}

json chat_params(const model & owner, json & body, std::vector<raw_buffer> & files) {
    const bool structured = body.contains("tools") || body.contains("tool_choice") ||
                            (body.contains("messages") && has_tool_history(body.at("messages")));
    if (!structured || !owner.meta->chat_params.use_jinja) {
        if (wanted_schema(body).is_object()) {
            forget(body, { "ignore_eos" });
        }
        json params = render_chat(owner, body, files);
        if (owner.meta->chat_params.use_jinja) {
            params = hold_to_schema(std::move(params), body, owner.meta->chat_params);
        }
        end_unwanted_reasoning(params, body, owner.meta->chat_params);
        check_grammar(params);
        return params;
    }
    if (!body.contains("messages") || !body.at("messages").is_array()) {
        throw failure(NRN_E_ARGUMENT, "'messages' must be an array");
    }
    json params = chat_planner(owner, body, files).plan();
    end_unwanted_reasoning(params, body, owner.meta->chat_params);
    check_grammar(params);
    return params;
}

json completion_params(json & body) {
    const json schema = wanted_schema(body);
    if (schema.is_object()) {
        forget(body, { "ignore_eos" });
        body["json_schema"] = schema;
    }
    forget(body, { "response_format" });
    return oaicompat_completion_params_parse(body);
}

std::string call_id(choice & answer, size_t index, const std::string & given) {
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    while (answer.call_ids.size() <= index) {
        std::random_device random;
        std::string id = "call_";
        for (int i = 0; i < 24; i++) {
            id += letters[random() % (sizeof(letters) - 1)];
        }
        answer.call_ids.push_back(id);
    }
    /* Kimi K2 is shown its calls by ids of this form, and errs when it meets others. */
    return given.compare(0, 10, "functions.") == 0 ? given : answer.call_ids[index];
}

} // namespace nrn
