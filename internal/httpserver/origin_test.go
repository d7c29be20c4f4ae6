package httpserver

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

func TestCrossOrigin_PagesOfOtherSitesChangeNothing(t *testing.T) {
	server := start(t, func(w http.ResponseWriter, r *http.Request) {}, testenv.Logger(t), defaults)
	for name, tc := range map[string]struct {
		host   string // the address when empty
		header map[string]string
		want   int
	}{
		"no browser":                          {"", nil, 200},
		"no browser, through a load balancer": {"blox.example.com", map[string]string{"X-Forwarded-For": "10.0.0.1"}, 200},
		"this very page": {
			"localhost:2000", map[string]string{"Origin": "http://localhost:2000", "Sec-Fetch-Site": "same-origin"}, 200,
		},
		"this page, an old browser": {"10.0.0.1:2000", map[string]string{"Origin": "http://10.0.0.1:2000"}, 200},
		"this page, a private name": {
			"blox.corp.internal:2000", map[string]string{"Origin": "http://blox.corp.internal:2000"}, 200,
		},
		"this page, a single label": {"scheduler:2000", map[string]string{"Origin": "http://scheduler:2000"}, 200},
		"this page, behind a proxy with TLS": {
			"blox.example.com", map[string]string{"Origin": "https://blox.example.com", "Sec-Fetch-Site": "same-origin"}, 200,
		},
		"the address bar": {"", map[string]string{"Sec-Fetch-Site": "none"}, 200},
		"another site": {
			"", map[string]string{"Origin": "https://shop.example.com", "Sec-Fetch-Site": "cross-site"}, 403,
		},
		"another site, an old browser": {"", map[string]string{"Origin": "https://shop.example.com"}, 403},
		"another port": {
			"localhost:2000", map[string]string{"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-site"}, 403,
		},
		"a sandbox": {"", map[string]string{"Origin": "null"}, 403},
		"a name that points here now": {
			"shop.example.com:2000", map[string]string{"Origin": "http://shop.example.com:2000"}, 403,
		},
		"the same in other words": {
			"SHOP.example.COM.:2000", map[string]string{"Origin": "http://SHOP.example.COM.:2000"}, 403,
		},
		"no origin at all": {"", map[string]string{"Origin": "%zz"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			for method, want := range map[string]int{
				"POST": tc.want, "PATCH": tc.want, "DELETE": tc.want, "GET": 200, "HEAD": 200,
			} {
				request, err := http.NewRequestWithContext(t.Context(), method, server.url, nil)
				require.NoError(t, err)
				if request.Host = tc.host; tc.host == "" {
					request.Host = request.URL.Host
				}
				for key, value := range tc.header {
					request.Header.Set(key, value)
				}
				answer, err := server.client.Do(request)
				require.NoError(t, err)
				answer.Body.Close()
				assert.Equal(t, want, answer.StatusCode, method)
				assert.Empty(t, answer.Header.Get("Access-Control-Allow-Origin"), "or other sites could read")
			}
		})
	}
}

// A browser opens the service's own page, a page on another port, and a page of a host name that resolves to the
// service afterwards (DNS rebinding).
func TestCrossOrigin_RejectsBrowsersOfOtherSites(t *testing.T) {
	const post = `<p>waiting</p><script>
fetch(new URL(decodeURIComponent(location.hash.slice(1)) || location.href),
	{method: "POST", mode: "no-cors", headers: {"Content-Type": "text/plain"}, body: "{}"})
	.then(() => { document.querySelector("p").textContent = "sent" })</script>`
	var mu sync.Mutex
	posted := 0
	page := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			mu.Lock()
			posted++
			mu.Unlock()
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(post))
	}
	server := start(t, page, testenv.Logger(t), defaults)
	elsewhere := httptest.NewServer(http.HandlerFunc(page))
	t.Cleanup(elsewhere.Close)
	browser := testenv.Browser(t, chromedp.Flag("host-resolver-rules", "MAP shop.example.com 127.0.0.1"))
	for _, tc := range []struct {
		name, page string
		posted     int
	}{
		{"its own page", server.url + "/own", 1},
		{"another port", elsewhere.URL + "/other#" + url.QueryEscape(server.url), 1},
		{"a name that points here", strings.Replace(server.url, "127.0.0.1", "shop.example.com", 1) + "/rebound", 1},
	} {
		browser.Do(chromedp.Navigate(tc.page))
		testenv.Eventually(
			t, func() bool { return testenv.Query(browser, chromedp.Text(chromedp.CSS("p"))) == "sent" }, tc.name,
		)
		mu.Lock()
		assert.Equal(t, tc.posted, posted, tc.name)
		mu.Unlock()
	}
}
