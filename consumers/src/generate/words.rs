//! The words that a generated shop is made of.

/// An outermost category.
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) kinds: &'static [Kind],
}

/// A category below it, and what stands in it.
pub(super) struct Kind {
    pub(super) category: &'static str,
    /// The usual price.
    pub(super) won: i64,
    pub(super) has_colours: bool,
    pub(super) has_sizes: bool,
    /// In Korean and in English.
    pub(super) names: &'static [(&'static str, &'static str)],
}

const fn kind(
    category: &'static str,
    won: i64,
    has_colours: bool,
    has_sizes: bool,
    names: &'static [(&'static str, &'static str)],
) -> Kind {
    Kind { category, won, has_colours, has_sizes, names }
}

/// The category tree.
pub(super) const GROUPS: &[Group] = &[
    Group {
        name: "패션의류",
        kinds: &[
            kind(
                "티셔츠",
                25_000,
                true,
                true,
                &[
                    ("반팔 티셔츠", "T-Shirt"),
                    ("긴팔 티셔츠", "Long Sleeve Tee"),
                    ("맨투맨", "Sweatshirt"),
                ],
            ),
            kind(
                "청바지",
                59_000,
                true,
                true,
                &[
                    ("스키니 청바지", "Skinny Jeans"),
                    ("와이드 데님", "Wide Denim"),
                    ("일자 청바지", "Straight Jeans"),
                ],
            ),
            kind(
                "아우터",
                129_000,
                true,
                true,
                &[
                    ("롱패딩", "Long Puffer Coat"),
                    ("바람막이", "Windbreaker"),
                    ("트렌치코트", "Trench Coat"),
                ],
            ),
            kind(
                "원피스",
                69_000,
                true,
                true,
                &[("롱 원피스", "Maxi Dress"), ("니트 원피스", "Knit Dress")],
            ),
        ],
    },
    Group {
        name: "가전디지털",
        kinds: &[
            kind(
                "청소기",
                189_000,
                true,
                false,
                &[
                    ("무선청소기", "Cordless Vacuum"),
                    ("로봇청소기", "Robot Vacuum"),
                    ("물걸레청소기", "Mop Cleaner"),
                ],
            ),
            kind(
                "주방가전",
                99_000,
                true,
                false,
                &[
                    ("전기밥솥", "Rice Cooker"),
                    ("에어프라이어", "Air Fryer"),
                    ("전자레인지", "Microwave Oven"),
                    ("커피머신", "Coffee Machine"),
                ],
            ),
            kind(
                "음향기기",
                79_000,
                true,
                false,
                &[
                    ("무선 이어폰", "Wireless Earbuds"),
                    ("블루투스 스피커", "Bluetooth Speaker"),
                    ("헤드폰", "Headphones"),
                ],
            ),
            kind(
                "노트북",
                1_190_000,
                false,
                false,
                &[("게이밍 노트북", "Gaming Laptop"), ("초경량 노트북", "Ultralight Laptop")],
            ),
        ],
    },
    Group {
        name: "식품",
        kinds: &[
            kind(
                "김치",
                24_000,
                false,
                false,
                &[
                    ("포기김치 5kg", "Whole Cabbage Kimchi 5kg"),
                    ("총각김치 3kg", "Radish Kimchi 3kg"),
                ],
            ),
            kind(
                "과일",
                32_000,
                false,
                false,
                &[
                    ("제주 감귤 5kg", "Jeju Mandarins 5kg"),
                    ("샤인머스캣 2kg", "Shine Muscat 2kg"),
                    ("사과 10kg", "Apples 10kg"),
                ],
            ),
            kind(
                "커피",
                18_000,
                false,
                false,
                &[("원두커피 1kg", "Coffee Beans 1kg"), ("드립백 커피", "Drip Bag Coffee")],
            ),
            kind(
                "건강식품",
                39_000,
                false,
                false,
                &[
                    ("홍삼정", "Red Ginseng Extract"),
                    ("오메가3", "Omega-3"),
                    ("비타민C", "Vitamin C"),
                ],
            ),
        ],
    },
    Group {
        name: "생활주방",
        kinds: &[
            kind(
                "그릇",
                29_000,
                true,
                false,
                &[("도자기 접시", "Ceramic Plate"), ("머그컵", "Mug"), ("국그릇", "Soup Bowl")],
            ),
            kind(
                "조리도구",
                35_000,
                true,
                false,
                &[("프라이팬", "Frying Pan"), ("냄비 세트", "Pot Set"), ("식도", "Kitchen Knife")],
            ),
            kind(
                "침구",
                89_000,
                true,
                true,
                &[("차렵이불", "Quilt"), ("베개", "Pillow"), ("매트리스 커버", "Mattress Cover")],
            ),
        ],
    },
    Group {
        name: "스포츠레저",
        kinds: &[
            kind(
                "캠핑",
                149_000,
                true,
                false,
                &[
                    ("원터치 텐트", "Pop-up Tent"),
                    ("캠핑 의자", "Camping Chair"),
                    ("침낭", "Sleeping Bag"),
                ],
            ),
            kind(
                "운동화",
                99_000,
                true,
                true,
                &[("러닝화", "Running Shoes"), ("등산화", "Hiking Boots"), ("운동화", "Sneakers")],
            ),
            kind(
                "자전거",
                390_000,
                true,
                true,
                &[("접이식 자전거", "Folding Bicycle"), ("산악자전거", "Mountain Bike")],
            ),
        ],
    },
    Group {
        name: "뷰티",
        kinds: &[
            kind(
                "스킨케어",
                28_000,
                false,
                false,
                &[("수분크림", "Moisturizing Cream"), ("선크림", "Sunscreen"), ("토너", "Toner")],
            ),
            kind(
                "메이크업",
                22_000,
                true,
                false,
                &[("립스틱", "Lipstick"), ("쿠션 파운데이션", "Cushion Foundation")],
            ),
        ],
    },
];

/// In Korean and in English.
pub(super) const ADJECTIVES: &[(&str, &str)] = &[
    ("가벼운", "Lightweight"),
    ("프리미엄", "Premium"),
    ("베이직", "Basic"),
    ("친환경", "Eco"),
    ("슬림", "Slim"),
    ("대용량", "Large"),
    ("클래식", "Classic"),
    ("국내산", "Korean Made"),
    ("신상", "New"),
    ("빈티지", "Vintage"),
];

/// The most usual ones first.
pub(super) const COLOURS: &[&str] = &["검정", "흰색", "회색", "네이비", "베이지", "빨강"];
/// From small to large.
pub(super) const SIZES: &[&str] = &["S", "M", "L", "XL", "2XL"];

/// How a brand's name begins.
pub(super) const BRAND_STARTS: &[&str] = &[
    "한", "새", "온", "하늘", "푸른", "Nord", "Luna", "Urban", "다온", "미르", "Alto", "Sol",
    "가람", "Terra", "늘", "Mono", "해", "Velo", "솔", "Aero",
];
/// How it ends.
pub(super) const BRAND_ENDS: &[&str] =
    &["나라", "결", "빛", "마루", "Lab", "Works", "샘", "모아", "Home", "Studio", "벗", "터"];

/// The sellers.
pub(super) const PARTNERS: &[&str] = &[
    "서울상회",
    "부산무역",
    "제주농원",
    "한강유통",
    "대구패션",
    "Han River Trading",
    "광주식품",
    "Seoul Outfitters",
    "인천물류",
    "대전전자",
    "Gangnam Living",
    "전주상사",
    "강릉커피",
    "수원전자상가",
];
