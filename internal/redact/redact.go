// Package redact keeps credentials out of logs and messages.
package redact

import "strings"

// URL is endpoint, host:port or a URL, right or wrong, without the user and password that may stand in it.
func URL(endpoint string) string {
	at := strings.LastIndexByte(endpoint, '@')
	if at < 0 {
		return endpoint
	}
	scheme, _, found := strings.Cut(endpoint[:at], "://")
	if !found || strings.ContainsFunc(scheme, notOfScheme) { // which is then a part of the password
		return "xxxxx" + endpoint[at:]
	}
	return scheme + "://xxxxx" + endpoint[at:]
}

// notOfScheme tells whether a URL's scheme cannot have the character. Source: RFC 3986, 3.1.
func notOfScheme(c rune) bool {
	return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("+-.", c))
}

// URLs is URL for each of endpoints.
func URLs(endpoints []string) []string {
	shown := make([]string, len(endpoints))
	for i, endpoint := range endpoints {
		shown[i] = URL(endpoint)
	}
	return shown
}
