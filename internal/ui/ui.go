// Package ui serves the web pages of the services, and the files that they share: style, DOM helpers, streams. The
// browser draws a page from the API. The binary embeds all files; there is no build step.
package ui

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed static
var shared embed.FS

// contentSecurityPolicy allows a page its own files and requests to its own server, and nothing else.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// contentTypes has the Content-Type of each file extension. The system's own table may differ from it.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json; charset=UTF-8",
	".svg":  "image/svg+xml",
}

type file struct {
	body        []byte
	contentType string
	etag        string
}

// Handler serves a page at GET / and its files at GET /page/{file}: those of the folder static of page, the shared
// ones, and config.json with the page's settings. A file of the page replaces a shared one of the same name. All URLs
// in a page are relative, so it also works below a path prefix. Browsers revalidate each file by its ETag.
//
// Handler panics if it cannot read an embedded file: the binary is broken then.
func Handler(page fs.FS, config any) http.Handler {
	files := map[string]file{}
	addFiles(files, shared)
	addFiles(files, page)
	settings, err := json.Marshal(config)
	if err != nil {
		panic(fmt.Errorf("encode the page's settings: %w", err))
	}
	files["config.json"] = newFile("config.json", settings)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("file")
		if name == "" {
			name = "index.html"
		}
		f, found := files[name]
		if !found {
			http.NotFound(w, r)
			return
		}
		f.serve(w, r)
	})
}

func (f file) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", f.contentType)
	header.Set("ETag", f.etag)
	header.Set("Cache-Control", "no-cache")
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("X-Frame-Options", "DENY")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body)) // handles If-None-Match
}

// addFiles adds the files of the folder static.
func addFiles(files map[string]file, from fs.FS) {
	names, err := fs.Glob(from, "static/*.*")
	if err != nil {
		panic(fmt.Errorf("list the page's files: %w", err))
	}
	for _, name := range names {
		body, err := fs.ReadFile(from, name)
		if err != nil {
			panic(fmt.Errorf("read %s: %w", name, err))
		}
		files[path.Base(name)] = newFile(name, body)
	}
}

func newFile(name string, body []byte) file {
	sum := sha256.Sum256(body)
	return file{body: body, contentType: contentTypes[path.Ext(name)], etag: `"` + hex.EncodeToString(sum[:12]) + `"`}
}
