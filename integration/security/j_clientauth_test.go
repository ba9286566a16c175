package security

import "encoding/base64"

// basicOf are Basic credentials as they are (RFC 7617 §2).
func basicOf(id, secret string) string {
	return base64.StdEncoding.EncodeToString([]byte(id + ":" + secret))
}
