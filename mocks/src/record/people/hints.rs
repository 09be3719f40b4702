//! What a field's name says about its value: names of the ministries' dictionaries, of common APIs, and Pinyin initials.
use serde_json::{Map, Value};

/// What a field may hold by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    Identity,
    Phone,
    Card,
    /// Another document's or account's number.
    Number,
    /// A person's name, whatever it looks like.
    Name,
    /// A name, of a person or of a thing.
    MaybeName,
    Address,
    Email,
    Birth,
    Secret,
    Picture,
}

/// Whole names, without signs and in small letters.
const WHOLE: &[(Hint, &[&str])] = &[
    (
        Hint::Identity,
        &[
            "idno",
            "idcard",
            "idnum",
            "certno",
            "certnum",
            "sfzh",
            "sfzhm",
            "gmsfhm",
            "zjhm",
            "zjhm1",
            "aac002",
            "aac147",
            "credno",
            "cardid",
            "身份证",
            "身份证号",
            "身份证号码",
            "证件号",
            "证件号码",
            "公民身份号码",
        ],
    ),
    (
        Hint::Phone,
        &[
            "phone",
            "mobile",
            "tel",
            "telno",
            "telephone",
            "sjh",
            "sjhm",
            "lxdh",
            "dhhm",
            "aae005",
            "aac067",
            "msisdn",
            "手机",
            "手机号",
            "手机号码",
            "电话",
            "联系电话",
        ],
    ),
    (
        Hint::Card,
        &[
            "bankcard",
            "bankcardno",
            "bankaccount",
            "bankacct",
            "account",
            "accountno",
            "acctno",
            "acct",
            "yhkh",
            "yhzh",
            "aae010",
            "payaccount",
            "银行卡号",
            "银行账号",
            "账号",
        ],
    ),
    (
        Hint::Number,
        &[
            "cardno",
            "cardnum",
            "socialcardno",
            "sscardno",
            "rpno",
            "kh",
            "sbkh",
            "aaz500",
            "passport",
            "passportno",
            "permitno",
            "licenceno",
            "licenseno",
            "plateno",
            "openid",
            "unionid",
            "卡号",
            "社保卡号",
            "护照号",
        ],
    ),
    (
        Hint::Name,
        &[
            "xm",
            "aac003",
            "username",
            "personname",
            "realname",
            "custname",
            "customername",
            "contactname",
            "receivername",
            "sendername",
            "handlername",
            "guardianname",
            "callername",
            "applicantname",
            "agentname",
            "ownername",
            "operatorname",
            "spousename",
            "fprcnname",
            "cnname",
            "latinname",
            "fullname",
            "firstname",
            "lastname",
            "surname",
            "givenname",
            "familyname",
            "consignee",
            "contact",
            "contacts",
            "linkman",
            "sqr",
            "lxr",
            "hzxm",
            "姓名",
            "联系人",
            "申请人",
            "收件人",
            "寄件人",
        ],
    ),
    (Hint::MaybeName, &["name", "mc"]),
    (
        Hint::Address,
        &[
            "address",
            "addr",
            "dz",
            "jtdz",
            "hjdz",
            "txdz",
            "jzdz",
            "aae006",
            "hukou",
            "residence",
            "地址",
            "住址",
            "户籍地址",
            "家庭住址",
            "通讯地址",
        ],
    ),
    (Hint::Email, &["email", "mail", "yx", "邮箱"]),
    (Hint::Birth, &["birth", "birthday", "birthdate", "dateofbirth", "dob", "csrq", "aac006", "出生日期"]),
    (
        Hint::Secret,
        &[
            "token",
            "accesstoken",
            "refreshtoken",
            "password",
            "passwd",
            "pwd",
            "secret",
            "appsecret",
            "apikey",
            "authorization",
            "auth",
            "sign",
            "signature",
            "sig",
            "nonce",
            "noncestr",
            "mac",
            "hmac",
            "digest",
            "ticket",
            "captcha",
            "verifycode",
            "smscode",
            "otp",
            "sessionid",
            "jsessionid",
            "sid",
            "cookie",
            "privatekey",
            "signkey",
            "secretkey",
            "encryptkey",
            "sessionkey",
            "signdata",
            "签名",
            "密码",
        ],
    ),
    (
        Hint::Picture,
        &[
            "photo",
            "image",
            "picture",
            "pic",
            "img",
            "zp",
            "xp",
            "portrait",
            "face",
            "avatar",
            "fingerprint",
            "照片",
            "相片",
        ],
    ),
];

/// Ends of names.
const ENDS: &[(Hint, &[&str])] = &[
    (Hint::Identity, &["idno", "idcard", "idcardno", "idnumber", "certno", "certificateno", "identityno"]),
    (Hint::Phone, &["phone", "phoneno", "phonenumber", "mobile", "mobileno", "telephone"]),
    (Hint::Card, &["bankcardno", "bankaccount", "accountno", "acctno"]),
    (Hint::Number, &["cardno", "passportno"]),
    (Hint::Address, &["address", "addr"]),
    (Hint::Email, &["email"]),
    (Hint::Birth, &["birthday", "birthdate"]),
    (Hint::Secret, &["token", "password", "secret", "apikey", "signature", "privatekey", "credential"]),
    (Hint::Picture, &["photo", "image", "picture"]),
];

/// Things and places have names too: `deptName`, `itemName`.
const THINGS: &[&str] = &[
    "item",
    "dept",
    "department",
    "org",
    "organ",
    "organization",
    "unit",
    "bank",
    "company",
    "corp",
    "city",
    "province",
    "district",
    "area",
    "street",
    "county",
    "town",
    "community",
    "file",
    "template",
    "product",
    "goods",
    "service",
    "method",
    "app",
    "system",
    "sys",
    "interface",
    "office",
    "hospital",
    "school",
    "type",
    "status",
    "state",
    "role",
    "group",
    "region",
    "branch",
    "event",
    "task",
    "activity",
    "class",
    "category",
    "nation",
    "country",
    "code",
    "field",
    "column",
    "table",
    "job",
    "step",
    "node",
    "api",
    "host",
    "server",
    "display",
    "short",
    "channel",
    "window",
    "site",
];

/// A name without signs and in small letters; an attribute's `@` and a prefix do not count.
fn plain(name: &str) -> String {
    let name = name.rsplit(':').next().unwrap_or(name);
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// What a field's name says.
pub fn hint(name: &str) -> Option<Hint> {
    let plain = plain(name);
    let whole = WHOLE.iter().find(|(_, names)| names.contains(&plain.as_str()));
    let end = || ENDS.iter().find(|(_, ends)| ends.iter().any(|end| plain.ends_with(end)));
    if let Some((hint, _)) = whole.or_else(end) {
        return Some(*hint);
    }
    let of = plain.strip_suffix("name").or_else(|| plain.strip_suffix("xm"))?;
    if THINGS.iter().any(|thing| of.ends_with(thing)) {
        return None;
    }
    Some(Hint::MaybeName)
}

/// Objects such as `{"field": "name", "value": "…"}`: the member that names what the other holds.
pub fn of_pair(members: &Map<String, Value>) -> Option<Hint> {
    const NAMES: [&str; 7] = ["key", "name", "field", "fieldName", "code", "column", "k"];
    members.keys().find(|name| is_value(name))?;
    NAMES.iter().filter_map(|name| members.get(*name)?.as_str()).find_map(hint)
}

fn is_value(name: &str) -> bool {
    ["value", "val", "fieldValue", "v"].contains(&name)
}

/// What a member of an object may hold. A name beside a person's number is a person's.
pub fn of_member(name: &str, members: &Map<String, Value>, pair: Option<Hint>) -> Option<Hint> {
    if pair.is_some() && is_value(name) {
        return pair;
    }
    let found = hint(name);
    let person =
        |name: &String| matches!(hint(name), Some(Hint::Identity | Hint::Phone | Hint::Birth | Hint::Card));
    match found {
        Some(Hint::MaybeName) if pair.is_none() && members.keys().any(person) => Some(Hint::Name),
        // What is named here is the field, not a person.
        Some(Hint::MaybeName) if pair.is_some() => None,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_of_fields_tell_people_from_things() {
        for (name, wanted) in [
            ("idNo", Some(Hint::Identity)),
            ("applicant_id_no", Some(Hint::Identity)),
            ("AAC002", Some(Hint::Identity)),
            ("receiverMobile", Some(Hint::Phone)),
            ("cardNo", Some(Hint::Number)),
            ("bankCardNo", Some(Hint::Card)),
            ("s:userName", Some(Hint::Name)),
            ("姓名", Some(Hint::Name)),
            ("name", Some(Hint::MaybeName)),
            ("childName", Some(Hint::MaybeName)),
            ("deptName", None),
            ("itemName", None),
            ("hukouAddr", Some(Hint::Address)),
            ("@birthDate", Some(Hint::Birth)),
            ("access_token", Some(Hint::Secret)),
            ("X-Api-Key", Some(Hint::Secret)),
            ("bizNo", None),
            ("status", None),
        ] {
            assert_eq!(hint(name), wanted, "{name}");
        }
    }

    #[test]
    fn a_name_beside_a_persons_number_is_a_persons() {
        let object = |value: Value| value.as_object().cloned().expect("an object");
        let person = object(json!({"name": "x", "idNo": "y"}));
        assert_eq!(of_member("name", &person, None), Some(Hint::Name));
        let pair = object(json!({"key": "idNo", "value": "y"}));
        assert_eq!(of_member("value", &pair, of_pair(&pair)), Some(Hint::Identity));
        let thing = object(json!({"name": "x", "price": 3}));
        assert_eq!(of_member("name", &thing, None), Some(Hint::MaybeName));
    }
}
