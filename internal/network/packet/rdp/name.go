package rdp

import (
	"strconv"
	"unicode/utf8"
)

// failure names why a server refused (MS-RDPBCGR section 2.2.1.2.2).
func failure(code uint32) string {
	switch code {
	case 1:
		return "failure: ssl_required_by_server"
	case 2:
		return "failure: ssl_not_allowed_by_server"
	case 3:
		return "failure: ssl_cert_not_on_server"
	case 4:
		return "failure: inconsistent_flags"
	case 5:
		return "failure: hybrid_required_by_server"
	case 6:
		return "failure: ssl_with_user_auth_required_by_server"
	}
	return "failure: " + strconv.FormatUint(uint64(code), 10)
}

// appendUTF16 appends one unit; half of a pair becomes U+FFFD.
func appendUTF16(b []byte, unit uint16) []byte { return utf8.AppendRune(b, rune(unit)) }
