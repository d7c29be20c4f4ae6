package httpserver

import (
	"net/http"
	"path"
	"strings"
)

// RedirectToCleanPath is mux for clean paths. Others, with a trailing or a doubled slash or with dot segments, are redirected to the
// clean one on this server, with their query: GET and HEAD by 301, what has a body by 308. Encoded slashes and
// dots belong to a segment and stay as they are.
//
// A mux that serves GET /tasks/{cluster}/{arn...} should say that it has no /tasks/{cluster}: left to itself it redirects
// that to an empty ARN.
func RedirectToCleanPath(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := r.URL.EscapedPath()
		if !strings.HasPrefix(given, "/") { // GET *, which the mux would answer without a word
			http.NotFound(w, r)
			return
		}
		if strings.Contains(given, "//") || strings.Contains(given, "/.") || strings.HasSuffix(given, "/") {
			if clean := path.Clean(given); clean != given {
				redirect(w, r, clean)
				return
			}
		}
		mux.ServeHTTP(w, r)
	})
}

func redirect(w http.ResponseWriter, r *http.Request, path string) {
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	status := http.StatusPermanentRedirect
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		status = http.StatusMovedPermanently
	}
	http.Redirect(w, r, path, status)
}
