//! The namespaces of WSDL 1.1, its SOAP bindings, and XML Schema.
pub const WSDL: &str = "http://schemas.xmlsoap.org/wsdl/";
pub const SOAP_11: &str = "http://schemas.xmlsoap.org/wsdl/soap/";
pub const SOAP_12: &str = "http://schemas.xmlsoap.org/wsdl/soap12/";
pub const XSD: &str = "http://www.w3.org/2001/XMLSchema";
pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
pub const ENVELOPE_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub const ENVELOPE_12: &str = "http://www.w3.org/2003/05/soap-envelope";
/// The transport of bindings over HTTP, of either version.
pub const HTTP_TRANSPORTS: [&str; 2] =
    ["http://schemas.xmlsoap.org/soap/http", "http://www.w3.org/2003/05/soap/bindings/HTTP/"];
