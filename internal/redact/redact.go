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
	if !found {
		return "xxxxx" + endpoint[at:]
	}
	return scheme + "://xxxxx" + endpoint[at:]
}

// URLs is URL for each of endpoints.
func URLs(endpoints []string) []string {
	shown := make([]string, len(endpoints))
	for i, endpoint := range endpoints {
		shown[i] = URL(endpoint)
	}
	return shown
}
