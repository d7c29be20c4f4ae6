package ecsclock

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClock_IsTheLatestEarliestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clock
		assert.Equal(t, time.Now(), c.Now(), "before the first response")

		behind := time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC) // ECS's time; this machine's clock starts in 2000
		c.observe(behind, time.Now())
		assert.Equal(t, behind, c.Now())
		time.Sleep(900 * time.Millisecond)
		assert.Equal(t, behind.Add(900*time.Millisecond), c.Now())

		c.observe(behind, time.Now())
		assert.Equal(t, behind.Add(900*time.Millisecond), c.Now(), "a response within the same second")
		c.observe(behind.Add(time.Second), time.Now())
		assert.Equal(t, behind.Add(time.Second), c.Now(), "a second begins")

		c.observe(behind.Add(-time.Hour), time.Now())
		assert.Equal(t, behind.Add(-time.Hour), c.Now(), "ECS's clock was wrong")
	})
}

// Rejected calls have a time, too.
func TestClock_ReadsResponsesAndErrors(t *testing.T) {
	for name, status := range map[string]int{"response": http.StatusOK, "error": http.StatusBadRequest} {
		t.Run(name, func(t *testing.T) {
			date := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", date.Format(http.TimeFormat))
				w.WriteHeader(status)
				_, err := w.Write([]byte(`{"__type":"ClusterNotFoundException"}`))
				assert.NoError(t, err)
			}))
			defer server.Close()
			var c Clock
			client := ecs.New(ecs.Options{
				BaseEndpoint: &server.URL, Region: "eu-west-1", RetryMaxAttempts: 1,
				Credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider("key", "secret", "")),
			}, c.Option)
			_, err := client.ListTasks(t.Context(), &ecs.ListTasksInput{})
			require.Equal(t, status != http.StatusOK, err != nil)
			since := c.Now().Sub(date)
			assert.True(t, 0 <= since && since < 24*time.Hour, "%s after the response's date", since)
		})
	}
}
