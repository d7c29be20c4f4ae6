// Package ui is what daemon-scheduler shows to people: one page, drawn by the browser from the API's streams. Everything
// that it needs is in this folder and in the binary.
package ui

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"time"
)

//go:embed *.html *.css *.js *.svg
var files embed.FS

// policy lets the page load its own files and ask its own server, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// kinds are the Content-Types; the machine's own table is not asked, as browsers are told to believe these.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// file is one that is served.
type file struct {
	body []byte
	kind string // Content-Type
	tag  string // ETag
}

// Handler serves the page at /, and its files at /page/<name>; the page names them without a leading slash, so that it works
// below any prefix. Browsers ask each time whether a file has changed.
func Handler() http.Handler {
	served := load()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("file")
		if name == "" {
			name = "index.html"
		}
		f, ok := served[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", f.kind)
		h.Set("ETag", f.tag)
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("X-Frame-Options", "DENY")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body)) // which answers If-None-Match
	})
}

// load panics when a file cannot be read, which the build has put in.
func load() map[string]file {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(fmt.Errorf("page: %w", err))
	}
	served := map[string]file{}
	for _, entry := range entries {
		body, err := files.ReadFile(entry.Name())
		if err != nil {
			panic(fmt.Errorf("page: %w", err))
		}
		sum := sha256.Sum256(body)
		served[entry.Name()] = file{
			body: body, kind: kinds[path.Ext(entry.Name())], tag: `"` + hex.EncodeToString(sum[:12]) + `"`,
		}
	}
	return served
}
