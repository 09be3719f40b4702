//! Tests of the XML reader and writer: what is refused, what the document looks like, and round trips.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn read_text(text: &str) -> Result<Value, CodecError> {
    decode(text.as_bytes(), &Format::default())
}

fn format(arrays: &[&str]) -> Format {
    let mut format = Format::default();
    for path in arrays {
        format.arrays.add(path).expect("a path");
    }
    format
}

/// Documents that are not well formed, or not namespace-well-formed, or that this bus refuses on purpose.
const REFUSED: &[&str] = &[
    // no single root
    "",
    " ",
    "text",
    "<!-- only -->",
    "<a/><b/>",
    "<a></a><a/>",
    "<a/>text",
    "text<a/>",
    "<a/>&#32;",
    "&#32;<a/>",
    "<a/><![CDATA[x]]>",
    "<![CDATA[x]]><a/>",
    // tags that do not match
    "<a>",
    "<a><b></a>",
    "<a></b>",
    "</a>",
    "<a></a></a>",
    "<a><b></a></b>",
    "<a></A>",
    "<a></a b>",
    "<a",
    "<a/",
    "<",
    "<a><",
    "<a></a",
    "<a>/a>",
    "<a></ a>",
    "< a></a>",
    "<a / >",
    "<a/ >",
    "<>",
    "</>",
    "<a></>",
    // names
    "<a*b/>",
    "<操作*>1</操作*>",
    "<1a/>",
    "<-a/>",
    "<.a/>",
    "<a&b/>",
    "<a:b:c/>",
    "<:a/>",
    "<a:/>",
    "<a\u{d7}/>",
    "<a x*=\"1\"/>",
    "<a 1=\"1\"/>",
    // attributes
    "<a x/>",
    "<a x=/>",
    "<a x=1/>",
    "<a x='1/>",
    "<a x=\"1'/>",
    "<a x='1' x='2'/>",
    "<a x='1'y='2'/>",
    "<a x='<'/>",
    "<a x='&'/>",
    "<a x='&nope;'/>",
    "<a x='&#0;'/>",
    "<a x='&lt'/>",
    "<a =\"1\"/>",
    "<a x =/>",
    "<a 'x'/>",
    "<a></a x='1'>",
    // references
    "<a>&</a>",
    "<a>& </a>",
    "<a>&nope;</a>",
    "<a>&#0;</a>",
    "<a>&#x0;</a>",
    "<a>&#11;</a>",
    "<a>&#xFFFE;</a>",
    "<a>&#xD800;</a>",
    "<a>&#;</a>",
    "<a>&#x;</a>",
    "<a>&#12a;</a>",
    "<a>&#X41;</a>",
    "<a>&lt</a>",
    "<a>&;</a>",
    "<a>&#1114112;</a>",
    "<a>&#-1;</a>",
    // characters
    "<a>\u{0}</a>",
    "<a>\u{1}</a>",
    "<a>\u{b}</a>",
    "<a>\u{1f}</a>",
    "<a>\u{fffe}</a>",
    "<a>\u{ffff}</a>",
    "<a x='\u{8}'/>",
    "<a><!-- \u{2} --></a>",
    "<a>]]></a>",
    "<a>x]]>y</a>",
    // comments, CDATA, declarations, instructions, document types
    "<a><!-- -- --></a>",
    "<a><!--x---></a>",
    "<a><!-- x</a>",
    "<a><!- x -></a>",
    "<a><![CDATA[x</a>",
    "<a><![cdata[x]]></a>",
    "<a><![CDATA [x]]></a>",
    "<!DOCTYPE a><a/>",
    "<!doctype a><a/>",
    "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
    "<a><!DOCTYPE a></a>",
    "<!ENTITY x 'y'><a/>",
    "<?pi x?><a/>",
    "<a><?pi?></a>",
    "<a/><?xml-stylesheet href='x'?>",
    " <?xml version='1.0'?><a/>",
    "<a><?xml version='1.0'?></a>",
    "<?xml?><a/>",
    "<?xml version='2.0'?><a/>",
    "<?xml version='1.0' x='1'?><a/>",
    "<?xml encoding='UTF-8'?><a/>",
    "<?xml version='1.0' standalone='maybe'?><a/>",
    "<?XML version='1.0'?><a/>",
    "<?xml version='1.0'><a/>",
    "<?xml version='1.0' encoding='UTF-8' version='1.0'?><a/>",
    "<? xml version='1.0'?><a/>",
    "<?xml version='1.0'?><?xml version='1.0'?><a/>",
    "<?xml version='1.0' encoding='UTF 8'?><a/>",
    "<?xml version='1.0' encoding='UTF-8&#32;'?><a/>",
    // namespaces
    "<p:a/>",
    "<a p:x='1'/>",
    "<a xmlns:p=''/>",
    "<a xmlns:xmlns='urn:x'/>",
    "<a xmlns:xml='urn:x'/>",
    "<xmlns:a/>",
    "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
    "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
    "<a xmlns='u' xmlns='u'/>",
    "<a xmlns:p='u' xmlns:p='u'/>",
    "<a><b xmlns:p='u'/><p:c/></a>",
    "<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>",
    "<a xmlns:i='http://www.w3.org/2001/XMLSchema-instance' xmlns:j='http://www.w3.org/2001/XMLSchema-instance' i:nil='1' j:nil='1'/>",
    "<a xmlns:p='u'><p:b></b></a>",
];

#[test]
fn refuses_every_document_that_is_not_well_formed() {
    let accepted: Vec<_> = REFUSED.iter().filter(|text| read_text(text).is_ok()).collect();
    assert!(accepted.is_empty(), "accepted: {accepted:?}");
    assert!(REFUSED.len() >= 100);
}

#[test]
fn reads_every_form_that_is_well_formed() {
    for (text, expected) in [
        ("<a/>", json!({"a": ""})),
        ("<a></a >", json!({"a": ""})),
        (
            "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\" standalone='yes' ?>\n<!-- c -->\n<a />\n<!-- d -->\n",
            json!({"a": ""}),
        ),
        ("<a> x </a>", json!({"a": " x "})),
        ("<a>\n <b>1</b>\n <b>2</b>\n</a>", json!({"a": {"b": ["1", "2"]}})),
        ("<a>1<b/>2</a>", json!({"a": {"b": "", "#text": "12"}})),
        ("<a x='1' y = \"2\"\n/>", json!({"a": {"@x": "1", "@y": "2"}})),
        ("<a x='1'>t</a>", json!({"a": {"@x": "1", "#text": "t"}})),
        ("<a x='a&#10;b\tc\nd&amp;&quot;&apos;>'/>", json!({"a": {"@x": "a\nb c d&\"'>"}})),
        (
            "<a>&lt;&#x1F600;&#65;<![CDATA[<b>&amp;]]]]><![CDATA[>]]>&gt;</a>",
            json!({"a": "<😀A<b>&amp;]]>>"}),
        ),
        ("<a>x<!-- c -->y</a>", json!({"a": "xy"})),
        ("<a>1\r\n2\r3</a>", json!({"a": "1\n2\n3"})),
        ("<a>&#13;</a>", json!({"a": "\r"})),
        (
            "<p:a xmlns:p='u' p:x='1'><p:b xmlns:p='v'/><c xmlns='w'/></p:a>",
            json!({"a": {"@x": "1", "b": "", "c": ""}}),
        ),
        ("<a xml:lang='zh'>t</a>", json!({"a": {"@lang": "zh", "#text": "t"}})),
        ("<姓名 性别='男'>张三</姓名>", json!({"姓名": {"@性别": "男", "#text": "张三"}})),
        (
            "<a xmlns:i='http://www.w3.org/2001/XMLSchema-instance'><b i:nil='true'/><c i:type='t'>1</c></a>",
            json!({"a": {"b": null, "c": "1"}}),
        ),
        ("<a><b>1</b><c/><b>2</b></a>", json!({"a": {"b": ["1", "2"], "c": ""}})),
    ] {
        assert_eq!(read_text(text), Ok(expected), "{text}");
    }
}

#[test]
fn makes_declared_elements_lists_even_alone() {
    let format = format(&["r.items.item", "r.items.item.tag"]);
    let read = |text: &str| decode(text.as_bytes(), &format);
    assert_eq!(
        read("<r><items><item><tag>1</tag></item></items><item/></r>"),
        Ok(json!({"r": {"items": {"item": [{"tag": ["1"]}]}, "item": ""}}))
    );
    assert_eq!(read("<r><items/></r>"), Ok(json!({"r": {"items": ""}})));
}

#[test]
fn names_line_and_column_of_what_it_refuses() {
    let error = read_text("<a>\n  <姓名>x</b>\n</a>").expect_err("mismatch");
    assert_eq!((error.line, error.column), (Some(2), Some(8)));
    let error = read_text("<a>\n<b x='1' x='2'/></a>").expect_err("twice");
    assert_eq!(error.line, Some(2));
}

#[test]
fn bounds_depth_attributes_names_and_elements() {
    let kind = |text: String| read_text(&text).map(drop).map_err(|error| error.kind);
    let nested = |levels: usize| "<a>".repeat(levels) + &"</a>".repeat(levels);
    assert_eq!(kind(nested(64)), Ok(()));
    assert_eq!(kind(nested(65)), Err(CodecErrorKind::Limit));
    assert_eq!(kind("<a>".repeat(100_000)), Err(CodecErrorKind::Limit));
    let attributes = |count: usize| {
        let attributes: String = (0..count).map(|n| format!(" x{n}='1'")).collect();
        format!("<a{attributes}/>")
    };
    assert_eq!(kind(attributes(64)), Ok(()));
    assert_eq!(kind(attributes(65)), Err(CodecErrorKind::Limit));
    assert_eq!(kind(format!("<{}/>", "a".repeat(257))), Err(CodecErrorKind::Limit));
    assert_eq!(kind(format!("<a>{}</a>", "<b/>".repeat(200_000))), Err(CodecErrorKind::Limit));
}

#[test]
fn reads_the_declared_encoding_unless_the_definition_names_one() {
    let gbk = b"<?xml version=\"1.0\" encoding=\"GBK\"?><a>\xD5\xC5</a>";
    assert_eq!(decode(gbk, &Format::default()), Ok(json!({"a": "张"})));
    let utf8 = "<?xml version=\"1.0\" encoding=\"GBK\"?><a>张</a>";
    let format = Format { charset: Some(Charset::Utf8), ..Format::default() };
    assert_eq!(decode(utf8.as_bytes(), &format), Ok(json!({"a": "张"})));
    let other = b"<?xml version=\"1.0\" encoding=\"Big5\"?><a/>";
    assert_eq!(decode(other, &Format::default()).map_err(|e| e.kind), Err(CodecErrorKind::Unexpected));
    assert!(decode(b"<a>\xD5\xC5</a>", &Format::default()).is_err());
    assert!(decode(b"\xFE\xFF\0<\0a\0/\0>", &Format::default()).is_err());
}

#[test]
fn refuses_documents_xml_cannot_carry() {
    let format = Format::default();
    for document in [
        json!([]),
        json!("x"),
        json!({}),
        json!({"a": 1, "b": 2}),
        json!({"a": [1]}),
        json!({"a b": 1}),
        json!({"": 1}),
        json!({"a": {"<": 1}}),
        json!({"a": {"@x y": 1}}),
        json!({"a": {"@": 1}}),
        json!({"a": {"@x": {}}}),
        json!({"a": {"@xmlns": "u"}}),
        json!({"a": {"#text": []}}),
        json!({"a": {"p:x": 1}}),
        json!({"a": "\u{1}"}),
        json!({"a": "\u{ffff}"}),
        json!({"a": {"b": [[1]]}}),
    ] {
        let error = encode(&document, &format, Charset::Utf8).expect_err("refused");
        assert_eq!(error.kind, CodecErrorKind::NotEncodable, "{document}");
    }
}

fn names() -> impl Strategy<Value = String> {
    "[a-zA-Z_\u{4e00}-\u{9fa5}][a-zA-Z0-9_.\u{4e00}-\u{9fa5}-]{0,6}"
}

/// Text that XML can carry and that is more than white space beside attributes.
fn texts() -> impl Strategy<Value = String> {
    "[\t\n\r -\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]{0,12}x"
}

fn contents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![texts().prop_map(Value::from), Just(json!(""))];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let attribute = (names(), texts()).prop_map(|(name, text)| (format!("@{name}"), Value::from(text)));
        let several = proptest::collection::vec(inner.clone(), 2..4).prop_map(Value::Array);
        let child = (names(), prop_oneof![inner, several]);
        (proptest::collection::vec(attribute, 0..2), proptest::collection::vec(child, 1..4), texts())
            .prop_map(|(attributes, children, text)| {
                let mut members: serde_json::Map<_, _> = attributes.into_iter().chain(children).collect();
                members.insert("#text".into(), text.into());
                Value::Object(members)
            })
    })
}

proptest! {
    #[test]
    fn reads_what_it_writes(name in names(), content in contents()) {
        let document = json!({name: content});
        let bytes = encode(&document, &Format::default(), Charset::Utf8).expect("XML can carry it");
        prop_assert_eq!(decode(&bytes, &Format::default()).expect("its own text"), document);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[<>/?!&;=a\"' :#x\\[\\]\\-\\n\u{0}-\u{20}张]{0,40}") {
        drop(read_text(&text));
    }

    #[test]
    fn a_cut_document_is_refused(cut in 1_usize..60) {
        let text = "<a xmlns:p='u'><p:b x='1'>t&amp;<![CDATA[c]]></p:b><!-- c --><c/></a>";
        prop_assume!(text.is_char_boundary(cut) && cut < text.len());
        prop_assert!(read_text(&text[..cut]).is_err());
    }
}
