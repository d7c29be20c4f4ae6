package ui

import "net/url"

// IsPageURL reports whether a page can link to the URL. It may be empty.
func IsPageURL(given string) bool {
	u, err := url.Parse(given)
	return given == "" || err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil &&
		u.RawQuery == "" && u.Fragment == ""
}
