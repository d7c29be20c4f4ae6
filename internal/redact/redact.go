// Package redact removes credentials from logs and error texts.
package redact

import "strings"

// URL returns endpoint, host:port or a URL, valid or not, without a user and password.
func URL(endpoint string) string {
	at := strings.LastIndexByte(endpoint, '@')
	if at < 0 {
		return endpoint
	}
	scheme, _, found := strings.Cut(endpoint[:at], "://")
	if !found || strings.ContainsFunc(scheme, notInScheme) { // then it is part of the password
		return "xxxxx" + endpoint[at:]
	}
	return scheme + "://xxxxx" + endpoint[at:]
}

// notInScheme reports whether the scheme of a URL cannot contain c. Source: RFC 3986, 3.1.
func notInScheme(c rune) bool {
	return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("+-.", c))
}

// URLs applies URL to each endpoint.
func URLs(endpoints []string) []string {
	shown := make([]string, len(endpoints))
	for i, endpoint := range endpoints {
		shown[i] = URL(endpoint)
	}
	return shown
}
