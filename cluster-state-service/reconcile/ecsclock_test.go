package reconcile

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

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

func TestECSClock_IsTheLatestEarliestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ecsClock
		assert.Equal(t, time.Now(), c.now(), "before the first response")

		behind := time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC) // ECS's time; this machine's clock starts in 2000
		c.observe(behind, time.Now())
		assert.Equal(t, behind, c.now())
		time.Sleep(900 * time.Millisecond)
		assert.Equal(t, behind.Add(900*time.Millisecond), c.now())

		c.observe(behind, time.Now())
		assert.Equal(t, behind.Add(900*time.Millisecond), c.now(), "a response within the same second")
		c.observe(behind.Add(time.Second), time.Now())
		assert.Equal(t, behind.Add(time.Second), c.now(), "a second begins")

		c.observe(behind.Add(-time.Hour), time.Now())
		assert.Equal(t, behind.Add(-time.Hour), c.now(), "ECS's clock was wrong")
	})
}

// Rejected calls have a time, too.
func TestECSClock_ReadsResponsesAndErrors(t *testing.T) {
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
			var c ecsClock
			client := ecs.New(ecs.Options{
				BaseEndpoint: &server.URL, Region: "eu-west-1", RetryMaxAttempts: 1,
				Credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider("key", "secret", "")),
			}, c.option)
			_, err := client.ListTasks(t.Context(), &ecs.ListTasksInput{})
			require.Equal(t, status != http.StatusOK, err != nil)
			since := c.now().Sub(date)
			assert.True(t, 0 <= since && since < 24*time.Hour, "%s after the response's date", since)
		})
	}
}

// This machine's clock is an hour ahead, so that new records look old. ECS's response does not contain the task yet.
func TestReconciler_KeepsNewRecordsThatAWrongClockMakesOld(t *testing.T) {
	const ahead = time.Hour
	f := newFixture(t, ecssim.Config{})
	f.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(-ahead).UTC().Format(http.TimeFormat))
		f.ServeHTTP(w, r)
	}))
	f.AddInstances("prod", 1)
	recent := f.task(local, "recent", "RUNNING", ahead+removalAge/2)
	old := f.task(local, "old", "RUNNING", ahead+2*removalAge)
	f.start(Config{Interval: time.Hour})
	testenv.Eventually(t, func() bool { return f.stored(old) == nil }, "ECS does not know the old task")
	assert.NotNil(t, f.stored(recent))
}
