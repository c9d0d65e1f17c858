"""Names of people, companies and places, and how they are written.

Here belong the word lists, romanisation, and correct ways to write one thing. Writing it wrongly
belongs in `noise`.

Shares of surnames: roughly the census of Statistics Korea 2015 (Kim 21.5 %, Lee 14.7 %, Park
8.4 %, …). Given names follow the fashion of the decade of birth, as the Supreme Court's register of
births shows it, so that some names are frequent and most are rare.
"""

from __future__ import annotations

import numpy as np


def words(text: str, separator: str = " ") -> tuple[str, ...]:
    """The words of a list written as one text."""
    return tuple(text.split(separator))


SURNAMES = words(
    "김 이 박 최 정 강 조 윤 장 임 한 오 서 신 권 황 안 송 류 전 홍 고 문 양 손 배 "
    "백 허 유 남 심 노 하 곽 성 차 주 우 구 민 진 지 엄 채 원 천 방 공 현 함 변 염 "
    "여 추 도 소 석 선 설 마 길 연 위 표 명 기 반 왕 금 옥 육 인 맹 제 모 남궁 탁 국 "
    "황보 선우"
)
_SHARES = (
    "21.5 14.7 8.4 4.7 4.3 2.4 2.1 2.0 2.0 1.7 1.5 1.5 1.5 1.4 1.4 1.4 1.4 1.4 1.3 1.1 1.1 .95 .93"
    " .93 .92 .81 .77 .65 .65 .56 .55 .51 .46 .41 .40 .40 .39 .39 .39 .35 .32 .31 .28 .26 .26 .24"
    " .19 .18 .18 .16"
)
_listed = np.array([float(share) for share in _SHARES.split()])
_rest = np.geomspace(0.15, 0.02, len(SURNAMES) - len(_listed))
SURNAME_WEIGHTS = np.concatenate([_listed, _rest]) / (_listed.sum() + _rest.sum())

# By sex (0 female, 1 male), for those born before a year: names in falling frequency.
GIVEN_NAMES = {
    0: {
        1965: words(
            "영자 정숙 순자 영숙 경숙 명자 춘자 영희 정희 순옥 옥순 "
            "미숙 경자 혜숙 정자 말순 숙자 복순 영순 종숙"
        ),
        1980: words(
            "미경 은주 은정 현주 미영 지영 은영 현정 미정 경희 선영 "
            "수진 윤정 혜진 은경 정은 혜정 영미 명희 성희"
        ),
        1995: words(
            "지혜 지은 수진 혜진 은지 지영 유진 민지 보람 아름 수연 "
            "지현 소영 은혜 슬기 다혜 선영 유정 하나 예지"
        ),
        2030: words(
            "서연 민서 지우 서현 수빈 유진 민지 지민 예은 하은 채원 "
            "수민 예린 지원 다은 은서 소연 가은 윤서 나연"
        ),
    },
    1: {
        1965: words(
            "영수 영호 영식 정웅 광수 영철 성호 병철 종수 상철 정호 "
            "용호 동수 재호 기철 영길 명호 정식 춘식 만수"
        ),
        1980: words(
            "성호 정훈 성훈 상훈 현우 영호 동현 상현 경수 재훈 진호 "
            "준호 성민 종현 정호 승현 동욱 형준 석진 병수"
        ),
        1995: words(
            "지훈 성민 현우 동현 준호 민수 상현 진우 승현 준영 재현 "
            "동훈 정훈 민호 태현 영진 성진 종민 현준 우진"
        ),
        2030: words(
            "민준 서준 지훈 현우 준서 우진 건우 예준 도윤 시우 준혁 "
            "민재 승민 지환 동현 성현 유찬 재윤 태윤 하준"
        ),
    },
}
SYLLABLES = words(
    "민 서 지 현 수 영 은 정 진 준 우 하 윤 재 성 경 혜 미 선 주 연 희 나 다 라 유 "
    "예 채 도 시 건 태 승 동 상 기 종 인 원 호 훈 철 석 규 범 찬 용 한 솔 빈 율 아 "
    "린 온 별 봄 슬 결 완 섭 환 웅 식 춘 복 덕 남 순 자 숙 옥 화 란 분"
)

LATIN_GIVEN = {
    0: words(
        "Emma Olivia Sarah Anna Maria Julia Laura Sophie Linda Grace Nguyet Linh Mei Yuki Priya "
        "Elena Fatima Chloe Hannah Nadia"
    ),
    1: words(
        "James Michael David Daniel Robert Thomas Lucas Oliver Ahmed Minh Wei Kenji Arjun Ivan "
        "Carlos Peter Simon George Omar Paul"
    ),
}
LATIN_SURNAMES = words(
    "Smith Johnson Williams Brown Miller Garcia Wilson Anderson Taylor Martin Nguyen "
    "Tran Wang Chen Tanaka Sato Sharma Patel Ivanov Petrov Müller Schmidt Rossi "
    "Dubois Kowalski Hansen Novak Silva Santos O'Brien"
)

_ONSETS = words("g|kk|n|d|tt|r|m|b|pp|s|ss||j|jj|ch|k|t|p|h", "|")
_VOWELS = words("a ae ya yae eo e yeo ye o wa wae oe yo u wo we wi yu eu ui i")
_CODAS = words("|k|k|k|n|n|n|t|l|k|m|l|l|l|p|l|m|p|p|t|t|ng|t|t|k|t|p|t", "|")
_FAMILIAR = {
    "김": "kim",
    "이": "lee",
    "박": "park",
    "최": "choi",
    "정": "jung",
    "강": "kang",
    "조": "cho",
    "윤": "yoon",
    "임": "lim",
    "오": "oh",
    "서": "seo",
    "신": "shin",
    "권": "kwon",
    "안": "ahn",
    "류": "ryu",
    "고": "ko",
    "문": "moon",
    "우": "woo",
    "유": "yoo",
    "노": "noh",
    "구": "koo",
    "주": "joo",
}


def romanise(hangul: str) -> str:
    """Romanise Hangul syllable by syllable (Revised Romanisation, without sound changes)."""
    parts = []
    for syllable in hangul:
        at = ord(syllable) - 0xAC00
        if not 0 <= at < 11_172:
            parts.append(syllable.lower())
            continue
        onset, vowel, coda = at // 588, at % 588 // 28, at % 28
        parts.append(_ONSETS[onset] + _VOWELS[vowel] + _CODAS[coda])
    return "".join(parts)


def romanise_surname(hangul: str) -> str:
    """Romanise a surname as most bearers do: 이 is Lee, 박 is Park."""
    return _FAMILIAR.get(hangul) or romanise(hangul)


def draw_given(rng: np.random.Generator, born: np.ndarray, sex: np.ndarray) -> list[str]:
    """Draw Korean given names for years of birth and sexes: six in ten from the decade's list."""
    count = len(born)
    is_listed = rng.random(count) < 0.6
    rank = np.minimum(rng.geometric(0.11, count) - 1, 19)
    first, second = rng.integers(len(SYLLABLES), size=(2, count))
    second = np.where(second == first, (second + 1) % len(SYLLABLES), second)
    names = []
    for i in range(count):
        if is_listed[i]:
            decades = GIVEN_NAMES[int(sex[i])]
            decade = next(year for year in decades if born[i] < year)
            names.append(decades[decade][rank[i]])
        else:
            names.append(SYLLABLES[first[i]] + SYLLABLES[second[i]])
    return names


# --- places ---------------------------------------------------------------------------

# (province, short form, city or district, first two digits of the postcode, share)
_PLACES = (
    ("서울특별시", "서울", "강남구", "06", 7),
    ("서울특별시", "서울", "송파구", "05", 7),
    ("서울특별시", "서울", "마포구", "04", 5),
    ("서울특별시", "서울", "노원구", "01", 5),
    ("서울특별시", "서울", "관악구", "08", 5),
    ("서울특별시", "서울", "강서구", "07", 5),
    ("서울특별시", "서울", "은평구", "03", 4),
    ("서울특별시", "서울", "성동구", "04", 3),
    ("부산광역시", "부산", "해운대구", "48", 4),
    ("부산광역시", "부산", "부산진구", "47", 3),
    ("인천광역시", "인천", "남동구", "21", 4),
    ("인천광역시", "인천", "연수구", "21", 3),
    ("대구광역시", "대구", "수성구", "42", 4),
    ("대전광역시", "대전", "유성구", "34", 3),
    ("광주광역시", "광주", "북구", "61", 3),
    ("울산광역시", "울산", "남구", "44", 2),
    ("경기도", "경기", "수원시 영통구", "16", 5),
    ("경기도", "경기", "성남시 분당구", "13", 5),
    ("경기도", "경기", "고양시 일산동구", "10", 4),
    ("경기도", "경기", "용인시 수지구", "16", 4),
    ("경기도", "경기", "화성시", "18", 4),
    ("충청남도", "충남", "천안시 서북구", "31", 3),
    ("전라북도", "전북", "전주시 완산구", "55", 3),
    ("경상남도", "경남", "창원시 성산구", "51", 3),
    ("강원도", "강원", "춘천시", "24", 2),
    ("제주특별자치도", "제주", "제주시", "63", 2),
)
PROVINCES = tuple(province for province, *_ in _PLACES)
"""The province of each place, so that one of many people is in it more than once."""
_ROADS = words(
    "중앙로 시청로 역전로 한빛로 벚꽃로 은행나무로 푸른숲길 강변로 새마을로 충무로 "
    "세종대로 무학로 학동로 도산대로 올림픽로 백범로 왕십리로 월드컵로 대학로 문화로 "
    "산업로 평화로 희망길 솔밭길 무지개로 달빛로 샘터길 느티나무길 한강로 가온길"
)
_COMPLEXES = words("래미안 자이 푸르지오 힐스테이트 롯데캐슬 아이파크 더샵 e편한세상 현대 한양")


def draw_addresses(rng: np.random.Generator, count: int) -> tuple[list[tuple[str, ...]], list[str]]:
    """Draw addresses, each as (usual form, other forms of the same place…), and postcodes."""
    shares = np.array([place[4] for place in _PLACES], dtype=float)
    place = rng.choice(len(_PLACES), count, p=shares / shares.sum())
    road, complex_ = (
        rng.integers(len(_ROADS), size=count),
        rng.integers(len(_COMPLEXES), size=count),
    )
    house, building = rng.integers(1, 400, count), rng.integers(101, 131, count)
    flat = rng.integers(1, 26, count) * 100 + rng.integers(1, 9, count)
    in_complex = rng.random(count) < 0.65
    tail = rng.integers(0, 10, count)
    forms, postcodes = [], []
    for i in range(count):
        province, short, district, zone, _ = _PLACES[place[i]]
        street = f"{_ROADS[road[i]]} {house[i]}"
        if in_complex[i]:
            home, brief = f"{building[i]}동 {flat[i]}호", f"{building[i]}-{flat[i]}"
            extra = f" ({_COMPLEXES[complex_[i]]}아파트)"
        else:
            home, brief, extra = f"{flat[i]}호", f"{flat[i]}호", ""
        forms.append(
            (
                f"{province} {district} {street}, {home}",
                f"{short} {district} {street} {brief}",
                f"{province} {district} {street}, {home}{extra}",
                f"{short}시 {district} {street} {home}"
                if province.endswith("시")
                else f"{district} {street} {home}",
            )
        )
        # A postcode covers a stretch of a road: it follows from the place, not from chance.
        stretch = (road[i] * 31 + house[i] // 40 * 7 + int(tail[i] > 8)) % 1000
        postcodes.append(f"{zone}{stretch:03d}")
    return forms, postcodes


# --- companies ------------------------------------------------------------------------

_FIRMS = words(
    "한빛 미래 대성 동양 삼원 우리 세진 태광 가온 누리 신화 청솔 백두 한울 금강 온새 "
    "다온 해담 이룸 나래"
)
_TRADES = (
    ("전자", "tech"),
    ("건설", "const"),
    ("유통", "trade"),
    ("소프트", "soft"),
    ("식품", "food"),
    ("물류", "logis"),
    ("디자인", "design"),
    ("교육", "edu"),
    ("산업", "ind"),
    ("바이오", "bio"),
)


def draw_companies(
    rng: np.random.Generator, numbers: np.ndarray
) -> list[tuple[tuple[str, ...], str]]:
    """Draw companies: ((usual name, other ways to write it…), domain); unique by `numbers`."""
    firm, trade = (
        rng.integers(len(_FIRMS), size=len(numbers)),
        rng.integers(len(_TRADES), size=len(numbers)),
    )
    companies = []
    for i, number in enumerate(numbers):
        korean, latin = _TRADES[trade[i]]
        name = f"{_FIRMS[firm[i]]}{korean}{number}"
        ways = (f"(주){name}", f"주식회사 {name}", name, f"㈜{name}")
        companies.append((ways, f"{romanise(_FIRMS[firm[i]])}{latin}{number}.co.kr"))
    return companies
