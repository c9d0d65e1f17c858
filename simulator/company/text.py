"""Sentences that people write to a shop, in Korean and English, with a known mood.

Here belong the templates and their filling. Who writes when belongs in `voices`. A text is a
greeting, one or two sentences of a mood, and a closing, each drawn on its own: tens of thousands of
different texts for each mood and language. Some sentences are mild or mixed on purpose, since a
mood that a list of words can read off would prove nothing.
"""

from __future__ import annotations

import numpy as np

from simulator.company.names import words

_NEUTRAL = 1


def _moods(text: str) -> tuple[tuple[str, ...], ...]:
    """Sentences of a text by mood: negative, neutral and positive, with a blank line between."""
    return tuple(tuple(part.splitlines()) for part in text.strip().split("\n\n"))


# {thing} and {day} are filled. Korean particles are chosen so that they fit after any thing.
_THINGS = {
    "ko": words(
        "이어폰 운동화 크림 텀블러 베개 셔츠 커피 샴푸 장난감 충전기 청바지 프라이팬 물티슈 스피커"
    ),
    "en": words(
        "earphones|sneakers|cream|tumbler|pillow|shirt|coffee|shampoo|toy|charger|jeans|frying pan"
        "|wipes|speaker",
        "|",
    ),
}
_DAYS = {
    "ko": words("어제|오늘|지난주에|월요일에|금요일에|주말에|며칠 전에|이틀 전에", "|"),
    "en": words(
        "yesterday|today|last week|on Monday|on Friday|at the weekend|two days ago|a few days ago",
        "|",
    ),
}

_REVIEWS = {
    "ko": _moods("""
{thing} 품질 생각보다 너무 별로예요
배송이 일주일 넘게 걸렸습니다
사진이랑 색이 완전히 달라요
한 번 쓰고 고장 났네요
이 가격에 이 정도면 돈이 아깝습니다
포장이 다 찢어져서 왔어요
다시는 안 살 것 같아요
{thing}에서 이상한 냄새가 나요
환불받고 싶은데 연락이 안 되네요
기대했는데 실망이 큽니다
마감이 엉성해서 하루 만에 뜯어졌어요
교환해도 똑같이 불량이네요

{thing} 그냥 쓸 만해요
보통입니다
가격만큼 하는 것 같아요
배송은 빨랐는데 품질은 그저 그래요
아직 며칠 안 써서 잘 모르겠어요
{day} 받았고 특별한 점은 없습니다
색은 괜찮은데 크기가 애매해요
나쁘지도 좋지도 않네요
설명대로 왔습니다
필요해서 샀어요
생각했던 것과 비슷합니다
조금 더 써 봐야 알 것 같아요

{thing} 정말 마음에 들어요
배송도 빠르고 포장도 꼼꼼해요
가격 대비 최고입니다
벌써 세 번째 재구매예요
부모님께 선물했는데 아주 좋아하세요
색이 사진보다 예뻐요
써 보니 왜 인기 많은지 알겠네요
강력 추천합니다
{day} 주문했는데 바로 왔어요
오래 쓸 수 있을 것 같아 만족합니다
처음엔 망설였는데 사길 잘했어요
친구들도 다 어디서 샀냐고 물어봐요
"""),
    "en": _moods("""
The {thing} broke after one use
Took more than a week to arrive
Colour is nothing like the picture
Not worth the money at all
It came in a torn box
I would not buy this again
The {thing} smells odd
I asked for a refund and nobody answers
Really let down by the quality
Cheap material and bad seams
The replacement had the same fault
Should have believed the bad reviews

The {thing} is okay
Average for the price
Delivery was quick, quality so-so
Too early to say more
It arrived {day}, nothing special
Nice colour but the size is between two
Neither good nor bad
As described
I needed one and bought it
Does what it says
About what I expected
I will see how it holds up

I love the {thing}
Fast delivery and careful packing
Best value I have found
Third time I order this
Bought it for my parents and they are delighted
Looks even better than in the picture
Now I see why everybody has one
Highly recommended
Ordered {day} and it was here at once
Feels like it will last for years
I hesitated at first and am glad I bought it
My friends keep asking where I got it
"""),
}
_SUPPORT = {
    "ko": _moods("""
{day} 주문한 {thing} 아직도 안 왔습니다
불량품을 받았는데 교환이 왜 이렇게 늦나요
세 번째 문의하는데 답이 없네요
환불이 2주째 안 되고 있어요
결제가 두 번 되었습니다 확인해 주세요
상담원 연결이 너무 안 됩니다
더 이상 이용하고 싶지 않습니다
{thing} 깨져서 왔어요
적립금이 사라졌는데 설명도 없네요
광고 문자를 거부했는데 계속 옵니다
반품했는데 다시 배송됐어요
매장 직원이 너무 불친절했습니다

배송지를 바꾸고 싶습니다
{thing} 재입고는 언제인가요
영수증을 다시 받을 수 있을까요
회원 정보를 수정하고 싶어요
{day} 주문한 것을 취소할 수 있나요
교환 절차가 궁금합니다
적립금은 언제 들어오나요
매장 영업시간을 알려 주세요
전화번호가 바뀌어서 연락드립니다
사이즈를 한 치수 큰 것으로 바꿀 수 있을까요
비밀번호를 잊어버렸어요
세금계산서 발행이 되나요

{day} 상담해 주신 분 정말 친절하셨어요
빠른 처리 덕분에 잘 해결됐습니다
{thing} 교환이 이렇게 쉬울 줄 몰랐어요
늘 잘 이용하고 있습니다
선물 포장이 예뻐서 칭찬하고 싶어요
덕분에 기분 좋게 쇼핑했습니다
직원분께 고맙다고 전해 주세요
문의드리자마자 답을 주셔서 놀랐어요
앞으로도 계속 이용할게요
배송 기사님이 아주 친절하셨습니다
걱정했는데 바로 해결해 주셨네요
이런 서비스는 처음이라 감동했습니다
"""),
    "en": _moods("""
The {thing} I ordered {day} still has not come
I got a faulty item and the exchange takes forever
This is the third time I write
My refund has been pending for two weeks
I was charged twice, please check
Nobody picks up the phone
I am thinking of closing my account
The {thing} arrived in pieces
My points are gone without a word
I opted out of your texts and they keep coming
I returned it and it was sent to me again
The clerk in the store was rude

I would like to change my delivery address
When will the {thing} be back in stock
Could I have the receipt again
I want to correct my details
Can I cancel what I ordered {day}
How does an exchange work
When do my points arrive
What are the opening hours
My phone number has changed
Could I get it one size larger
I have forgotten my password
Do you send invoices to companies

The agent I talked to {day} was so kind
Solved quickly, I appreciate it
I did not expect changing the {thing} to be this easy
Always happy with your shop
The gift wrapping was lovely
You made my day
Please thank your colleague for me
I was surprised how fast you answered
I will keep shopping with you
The courier was very friendly
I was worried and you fixed it at once
I have never had service like this
"""),
}
_OPENINGS = {
    "ko": words("||안녕하세요. |안녕하세요, {name}입니다. |수고하십니다. ", "|"),
    "en": words("||Hello, |Hi there. |Hello, this is {name}. ", "|"),
}
_CLOSINGS = {
    "ko": (
        words(". 빨리 해결해 주세요.|. 정말 답답하네요.|.| ㅠㅠ", "|"),
        words(". 알려 주세요.|. 감사합니다.|.|. 부탁드립니다.", "|"),
        words(". 감사합니다!| ^^|.|. 번창하세요.", "|"),
    ),
    "en": (
        words(". Please sort it out.|. Very annoying.|.| :(", "|"),
        words(". Please let me know.|. Thanks.|.|. Kind regards.", "|"),
        words(". Thank you!| :)|.|. Keep it up.", "|"),
    ),
}


def write_texts(
    rng: np.random.Generator,
    kind: str,
    mood: np.ndarray,
    language: list[str],
    name: list[str],
) -> list[str]:
    """Write a text for each mood (−1, 0, 1) and language; `kind`: review or support.

    A conversation with the help desk may begin with the writer's name.
    """
    sentences = {"review": _REVIEWS, "support": _SUPPORT}[kind]
    draws = rng.integers(0, 1_000_000, size=(len(mood), 8)).tolist()
    return [
        _text(sentences[tongue], feeling, tongue, who, draw, greets=kind == "support")
        for feeling, tongue, who, draw in zip(
            (mood + 1).tolist(), language, name, draws, strict=True
        )
    ]


def _text(
    sentences: tuple[tuple[str, ...], ...],
    feeling: int,
    tongue: str,
    who: str,
    draw: list[int],
    *,
    greets: bool,
) -> str:
    first, second, has_second, opening, closing, has_closing, thing, day = draw
    body = [_one_of(sentences[feeling], first)]
    if has_second % 2:
        # Real texts are mixed: one second sentence in five is a neutral one.
        more = _one_of(sentences[_NEUTRAL if has_second % 5 == 0 else feeling], second)
        body += [more] if more != body[0] else []
    text = _one_of(_OPENINGS[tongue], opening) if greets else ""
    text += ". ".join(body)
    text += _one_of(_CLOSINGS[tongue][feeling], closing) if has_closing % 2 else "."
    return text.format(
        thing=_one_of(_THINGS[tongue], thing), day=_one_of(_DAYS[tongue], day), name=who
    )


def _one_of(choices: tuple[str, ...], draw: int) -> str:
    return choices[draw % len(choices)]
