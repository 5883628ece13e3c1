"""Checks of the Anthropic library for Python; works with old and new ones."""

import json
from concurrent.futures import ThreadPoolExecutor

import anthropic

from checks import CITIES, MODEL, TOO_MANY, WEATHER_SCHEMA, Servers, expect_raises, run_checks

servers = Servers()
client = anthropic.Anthropic(base_url=servers.gateway, api_key="none", max_retries=0)
TOOL = {"name": "get_weather", "description": "Weather.", "input_schema": WEATHER_SCHEMA}


def messages(content, max_tokens, **more):
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": max_tokens,
        **more,
    }


def whole_and_streamed():
    whole = client.messages.create(**messages("Write about the sea.", 12))
    assert whole.stop_reason == "max_tokens"
    assert whole.usage.output_tokens == 12
    assert whole.content[0].type == "text"
    with client.messages.stream(**messages("Write about the sea.", 12)) as stream:
        text = "".join(stream.text_stream)
        last = stream.get_final_message()
    assert len(text) > 0
    assert last.content[0].text == text
    assert last.usage.output_tokens == 12


def count_tokens():
    counted = client.messages.count_tokens(
        model=MODEL, messages=[{"role": "user", "content": "Write about the sea."}]
    )
    usage = client.messages.create(**messages("Write about the sea.", 2)).usage
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    assert counted.input_tokens == usage.input_tokens + cached


def forced_tool():
    body = messages(
        "Weather in Oslo?", 80, tools=[TOOL], tool_choice={"type": "tool", "name": "get_weather"}
    )
    whole = client.messages.create(**body)
    with client.messages.stream(**body) as stream:
        streamed = stream.get_final_message()
    for message in (whole, streamed):
        assert message.stop_reason == "tool_use"
        call = next(block for block in message.content if block.type == "tool_use")
        assert call.name == "get_weather"
        assert call.input["city"] in CITIES


def auto_tool():
    message = client.messages.create(
        **messages("Hello.", 8, tools=[TOOL], tool_choice={"type": "auto"})
    )
    assert message.stop_reason in ["end_turn", "max_tokens", "tool_use"]


def structured_output():
    # Old libraries do not know the field; it goes with the request all the same.
    config = {"format": {"type": "json_schema", "schema": WEATHER_SCHEMA}}
    message = client.messages.create(
        **messages("Weather as JSON.", 80), extra_body={"output_config": config}
    )
    assert json.loads(message.content[0].text)["city"] in CITIES


def stop_sequence():
    body = messages("Tell me about the sea and the weather.", 60, stop_sequences=["@@@", "e"])
    whole = client.messages.create(**body)
    with client.messages.stream(**body) as stream:
        streamed = stream.get_final_message()
    for message in (whole, streamed):
        assert message.stop_reason == "stop_sequence"
        assert message.stop_sequence == "e"
        assert all("e" not in block.text for block in message.content)


def sampling_fields():
    fields = {"temperature": 1.0, "top_p": 0.9, "top_k": 40}
    is_old = int(anthropic.__version__.split(".")[0]) < 1
    more = fields if is_old else {"extra_body": fields}
    message = client.messages.create(**messages("Hello.", 4), **more)
    assert message.usage.output_tokens > 0


def errors():
    body = {**messages("Hello.", 4), "model": "no-such-model"}
    error = expect_raises(anthropic.NotFoundError, lambda: client.messages.create(**body))
    assert error.body["error"]["type"] == "not_found_error"
    expect_raises(anthropic.NotFoundError, lambda: client.messages.create(**body, stream=True))
    long = messages("sea " * 6000, 4)
    error = expect_raises(anthropic.BadRequestError, lambda: client.messages.create(**long))
    assert "prompt is too long: " in str(error)


def rate_limit():
    def ask(_):
        try:
            return client.messages.create(**messages("Write a long story.", 40))
        except anthropic.APIStatusError as error:
            return error

    with ThreadPoolExecutor(TOO_MANY) as pool:
        answers = list(pool.map(ask, range(TOO_MANY)))
    refused = [answer for answer in answers if isinstance(answer, anthropic.APIStatusError)]
    assert len(refused) > 0
    assert all(isinstance(error, anthropic.RateLimitError) for error in refused), refused


def cancel():
    stream = client.messages.create(**messages("Write a very long story.", 2000, stream=True))
    for event in stream:
        if event.type == "content_block_delta":
            break
    stream.close()
    servers.expect_freed()


run_checks(
    [
        whole_and_streamed,
        count_tokens,
        forced_tool,
        auto_tool,
        structured_output,
        stop_sequence,
        sampling_fields,
        errors,
        rate_limit,
        cancel,
    ]
)
