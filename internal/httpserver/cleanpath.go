package httpserver

import (
	"net/http"
	"path"
	"strings"
)

// RedirectToCleanPath serves clean paths with mux. It redirects a path with a trailing slash, doubled slashes or dot
// segments to the clean one on this server and keeps the query: GET and HEAD by 301, other methods by 308. The Location
// is relative, so that it stays below the path prefix of a proxy. Encoded slashes and dots belong to a segment and
// stay.
//
// A mux that serves GET /tasks/{cluster}/{arn...} needs a handler for /tasks/{cluster} too. Without one it redirects
// that path to an empty ARN.
func RedirectToCleanPath(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		escaped := r.URL.EscapedPath()
		if !strings.HasPrefix(escaped, "/") { // GET *, for which the mux would send an empty response
			NotFound(w, r)
			return
		}
		if strings.Contains(escaped, "//") || strings.Contains(escaped, "/.") || strings.HasSuffix(escaped, "/") {
			if clean := path.Clean(escaped); clean != escaped {
				redirect(w, r, relativePath(escaped, clean))
				return
			}
		}
		if acceptsProblem(r) { // first, as it costs less than to find the handler twice
			if _, pattern := mux.Handler(r); pattern == "" {
				muxError(w, r, mux)
				return
			}
		}
		mux.ServeHTTP(w, r)
	})
}

// relativePath returns a relative reference from a request's path to the clean path target. Both begin with a slash.
//
// Clients resolve a reference against the folder of the request's path: its part up to the last slash. Empty segments
// count as folders; dot segments do not, as clients resolve them first. The reference leads up to the root, and from
// there to target.
func relativePath(from, target string) string {
	depth := 0
	segments := strings.Split(from, "/")
	for _, segment := range segments[1 : len(segments)-1] { // without the empty text before the first slash, and the file
		switch segment {
		case ".":
		case "..":
			depth = max(0, depth-1)
		default:
			depth++
		}
	}
	if depth == 0 {
		return "./" + target[1:] // target may begin with a:b, which is no scheme
	}
	return strings.Repeat("../", depth) + target[1:]
}

func redirect(w http.ResponseWriter, r *http.Request, location string) {
	if r.URL.RawQuery != "" {
		location += "?" + r.URL.RawQuery
	}
	status := http.StatusPermanentRedirect
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		status = http.StatusMovedPermanently
	}
	w.Header().Set("Location", location) // http.Redirect would make it absolute
	http.Error(w, http.StatusText(status), status)
}
