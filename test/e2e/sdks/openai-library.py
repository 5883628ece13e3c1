"""Checks of the OpenAI library for Python; works with old and new ones."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import openai
from pydantic import BaseModel

from checks import CITIES, MODEL, TOO_MANY, WEATHER_SCHEMA, Servers, expect_raises, run_checks

servers = Servers()
client = openai.OpenAI(base_url=f"{servers.gateway}/v1", api_key="none", max_retries=0)
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Weather.", "parameters": WEATHER_SCHEMA},
}


class Weather(BaseModel):
    city: Literal["Oslo", "Lima"]
    rain: bool


def chat(content, max_tokens, **more):
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": max_tokens,
        "temperature": 0,
        **more,
    }


def whole_and_streamed():
    whole = client.chat.completions.create(**chat("Write about the sea.", 12))
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage.completion_tokens == 12
    text, usage = "", None
    for chunk in client.chat.completions.create(
        **chat("Write about the sea.", 12, stream=True, stream_options={"include_usage": True})
    ):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
    assert len(text) > 0
    assert usage.prompt_tokens == whole.usage.prompt_tokens
    assert usage.completion_tokens == 12


def forced_tool():
    choice = {"type": "function", "function": {"name": "get_weather"}}
    body = chat("Weather in Oslo?", 80, tools=[TOOL], tool_choice=choice)
    whole = client.chat.completions.create(**body)
    assert whole.choices[0].finish_reason == "tool_calls"
    call = whole.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments)["city"] in CITIES
    name, arguments = "", ""
    for chunk in client.chat.completions.create(**body, stream=True):
        for delta in chunk.choices[0].delta.tool_calls or []:
            name += delta.function.name or ""
            arguments += delta.function.arguments or ""
    assert name == "get_weather"
    assert json.loads(arguments)["city"] in CITIES


def auto_tool():
    answer = client.chat.completions.create(**chat("Hello.", 8, tools=[TOOL], tool_choice="auto"))
    assert answer.choices[0].finish_reason in ["stop", "length", "tool_calls"]


def structured_output():
    answer = client.beta.chat.completions.parse(**chat("Weather as JSON.", 80), response_format=Weather)
    assert isinstance(answer.choices[0].message.parsed, Weather)


def stop_string():
    answer = client.chat.completions.create(**chat("Tell me about the sea.", 60, stop=["e"]))
    assert answer.choices[0].finish_reason == "stop"
    assert "e" not in answer.choices[0].message.content


def responses():
    body = {"model": MODEL, "input": "Write about the sea.", "max_output_tokens": 16, "store": False}
    whole = client.responses.create(**body)
    assert whole.status == "incomplete", whole
    assert whole.incomplete_details.reason == "max_output_tokens"
    assert whole.usage.output_tokens == 16
    assert len(whole.output_text) > 0
    deltas, last = "", None
    for event in client.responses.create(**body, stream=True):
        if event.type == "response.output_text.delta":
            deltas += event.delta
        last = event
    assert last.type == "response.incomplete"
    assert last.response.output_text == deltas


def errors():
    body = {**chat("Hello.", 4), "model": "no-such-model"}
    error = expect_raises(openai.NotFoundError, lambda: client.chat.completions.create(**body))
    assert error.code == "model_not_found"
    assert error.request_id.startswith("req_")
    expect_raises(openai.NotFoundError, lambda: client.chat.completions.create(**body, stream=True))
    long = chat("sea " * 6000, 4)
    error = expect_raises(openai.BadRequestError, lambda: client.chat.completions.create(**long))
    assert error.code == "context_length_exceeded"
    embed = lambda: client.embeddings.create(model=MODEL, input="Hello.")
    assert "embedding" in str(expect_raises(openai.APIStatusError, embed))


def rate_limit():
    def ask(_):
        try:
            return client.chat.completions.create(**chat("Write a long story.", 40))
        except openai.APIStatusError as error:
            return error

    with ThreadPoolExecutor(TOO_MANY) as pool:
        answers = list(pool.map(ask, range(TOO_MANY)))
    refused = [answer for answer in answers if isinstance(answer, openai.APIStatusError)]
    assert len(refused) > 0
    assert all(isinstance(error, openai.RateLimitError) for error in refused), refused


def cancel():
    stream = client.chat.completions.create(**chat("Write a very long story.", 2000, stream=True))
    next(iter(stream))
    stream.close()
    servers.expect_freed()


run_checks(
    [
        whole_and_streamed,
        forced_tool,
        auto_tool,
        structured_output,
        stop_string,
        responses,
        errors,
        rate_limit,
        cancel,
    ]
)
