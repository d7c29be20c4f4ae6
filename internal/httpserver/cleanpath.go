package httpserver

import (
	"net/http"
	"path"
	"strings"
)

// RedirectToCleanPath serves clean paths with mux. It redirects a path with a trailing slash, doubled slashes or dot
// segments to the clean one on this server and keeps the query: GET and HEAD by 301, other methods by 308. Encoded
// slashes and dots belong to a segment and stay.
//
// A mux that serves GET /tasks/{cluster}/{arn...} needs a handler for /tasks/{cluster} too. Without one it redirects
// that path to an empty ARN.
func RedirectToCleanPath(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		escaped := r.URL.EscapedPath()
		if !strings.HasPrefix(escaped, "/") { // GET *, for which the mux would send an empty response
			http.NotFound(w, r)
			return
		}
		if strings.Contains(escaped, "//") || strings.Contains(escaped, "/.") || strings.HasSuffix(escaped, "/") {
			if clean := path.Clean(escaped); clean != escaped {
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
