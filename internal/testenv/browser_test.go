package testenv

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
)

func TestBrowser_RecordsRequestsAndConsoleErrors(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		_, _ = w.Write([]byte(`<h1>A page</h1><script>alert(1)</script><img src="missing.png">`))
	}))
	defer server.Close()

	browser := Browser(t)
	browser.Do(chromedp.Navigate(server.URL))
	assert.Equal(t, "A page", Query(browser, chromedp.Text(chromedp.CSS("h1"))))
	Eventually(t, func() bool { return len(browser.ConsoleErrors()) >= 2 })
	assert.Subset(t, browser.Requests(), []string{server.URL + "/", server.URL + "/missing.png"})
	assert.Contains(
		t, strings.Join(browser.ConsoleErrors(), "\n"), "Content Security Policy", "the inline script is refused",
	)
	assert.Contains(t, strings.Join(browser.ConsoleErrors(), "\n"), "404", "the picture is missing")
}
