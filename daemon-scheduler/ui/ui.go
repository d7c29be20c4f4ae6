// Package ui serves the web page of daemon-scheduler: one page that the browser draws from the API's streams. The
// binary embeds its files; there is no build step.
package ui

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed static
var static embed.FS

// contentSecurityPolicy allows the page its own files and requests to its own server, and nothing else.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// contentTypes has the Content-Type of each file extension. The system's own table may differ from it.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

type file struct {
	body        []byte
	contentType string
	etag        string
}

// Handler serves the page at / and its files at /page/<name>. All URLs in the page are relative, so it also works below
// a path prefix. Browsers revalidate each file by its ETag.
func Handler() http.Handler {
	files := loadFiles()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("file")
		if name == "" {
			name = "index.html"
		}
		f, ok := files[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
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
	})
}

// loadFiles panics if it cannot read an embedded file: the binary is broken then.
func loadFiles() map[string]file {
	names, err := fs.Glob(static, "static/*.*")
	if err != nil {
		panic(fmt.Errorf("list the page's files: %w", err))
	}
	files := make(map[string]file, len(names))
	for _, name := range names {
		body, err := static.ReadFile(name)
		if err != nil {
			panic(fmt.Errorf("read %s: %w", name, err))
		}
		sum := sha256.Sum256(body)
		files[path.Base(name)] = file{
			body:        body,
			contentType: contentTypes[path.Ext(name)],
			etag:        `"` + hex.EncodeToString(sum[:12]) + `"`,
		}
	}
	return files
}
