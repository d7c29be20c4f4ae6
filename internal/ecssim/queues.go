package ecssim

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// queues holds the account's SQS queues.
type queues struct {
	arnPrefix string

	mu          sync.Mutex
	byName      map[string]*queue
	interrupted chan struct{} // closed and replaced to end long polls
	closed      bool
}

func newQueues(cfg Config) *queues {
	return &queues{
		arnPrefix: "arn:" + cfg.Partition + ":sqs:" + cfg.Region + ":" + cfg.Account + ":", byName: map[string]*queue{},
		interrupted: make(chan struct{}),
	}
}

var queueName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`)

// create returns the named queue and creates it if necessary. An existing queue must have the same attributes.
func (qs *queues) create(name string, attributes map[string]string) (*queue, error) {
	if strings.HasSuffix(name, ".fifo") {
		return nil, sqsInvalid("FIFO queues are not simulated.")
	}
	if !queueName.MatchString(name) {
		return nil, sqsInvalid("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	if err := qs.checkRedrive(attributes); err != nil {
		return nil, err
	}
	fresh := newQueue(name, qs.arnPrefix+name)
	if err := fresh.set(attributes); err != nil {
		return nil, err
	}
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if q := qs.byName[name]; q != nil {
		present := q.attributes()
		for attribute, value := range fresh.attributes() {
			if attributes[attribute] != "" && present[attribute] != value {
				return nil, &apiError{code: "QueueNameExists", query: "QueueAlreadyExists",
					message: "A queue already exists with the same name and a different value for attribute " + attribute}
			}
		}
		return q, nil
	}
	qs.byName[name] = fresh
	return fresh, nil
}

// checkRedrive rejects a redrive policy whose dead-letter queue does not exist. Queues are never deleted, so the check
// stays valid.
func (qs *queues) checkRedrive(attributes map[string]string) error {
	deadLetterARN, _, err := parseRedrivePolicy(attributes["RedrivePolicy"])
	if err == nil && deadLetterARN != "" && qs.byARN(deadLetterARN) == nil {
		err = sqsInvalid(
			"Value %.300s for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist.",
			attributes["RedrivePolicy"],
		)
	}
	return err
}

// byURL returns a queue by its URL. It ignores the host: clients reach the simulator under different names.
func (qs *queues) byURL(url string) (*queue, error) {
	return qs.find(lastPart(url))
}

func (qs *queues) byARN(arn string) *queue {
	name, ok := strings.CutPrefix(arn, qs.arnPrefix)
	if q, err := qs.find(name); ok && err == nil {
		return q
	}
	return nil
}

func (qs *queues) find(name string) (*queue, error) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if q := qs.byName[name]; q != nil {
		return q, nil
	}
	return nil, &apiError{code: "QueueDoesNotExist", query: "AWS.SimpleQueueService.NonExistentQueue",
		message: "The specified queue does not exist."}
}

func (qs *queues) names(prefix string) []string {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(qs.byName)), func(name string) bool {
		return !strings.HasPrefix(name, prefix)
	})
}

// interrupt ends the waiting long polls and, if permanently is set, all later ones.
func (qs *queues) interrupt(permanently bool) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if qs.closed {
		return
	}
	close(qs.interrupted)
	if qs.closed = permanently; !permanently {
		qs.interrupted = make(chan struct{})
	}
}

func (qs *queues) interruption() <-chan struct{} {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	return qs.interrupted
}

// settings holds the configurable attributes of a queue.
type settings struct {
	visibility, retention, delay, wait time.Duration
	maxSize                            int
	deadLetterARN                      string // of the redrive policy, as is maxReceives
	maxReceives                        int
	other                              map[string]string // stored without effect: Policy, Kms…
}

// maxMessage is SQS's limit on the size of a message and of a batch, in bytes.
const maxMessage = 1 << 20

func defaultSettings() settings {
	return settings{
		visibility: 30 * time.Second, retention: 4 * 24 * time.Hour, maxSize: maxMessage, other: map[string]string{},
	}
}

// set changes all the given attributes, or returns an error and changes none.
func (q *queue) set(attributes map[string]string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	next := q.settings
	next.other = maps.Clone(next.other)
	for name, value := range attributes {
		var err error
		switch name {
		case "VisibilityTimeout":
			next.visibility, err = secondsInRange(name, value, 0, 43_200)
		case "MessageRetentionPeriod":
			next.retention, err = secondsInRange(name, value, 60, 1_209_600)
		case "DelaySeconds":
			next.delay, err = secondsInRange(name, value, 0, 900)
		case "ReceiveMessageWaitTimeSeconds":
			next.wait, err = secondsInRange(name, value, 0, 20)
		case "MaximumMessageSize":
			next.maxSize, err = intInRange(name, value, 1024, maxMessage)
		case "RedrivePolicy":
			next.deadLetterARN, next.maxReceives, err = parseRedrivePolicy(value)
		case "Policy", "RedriveAllowPolicy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled":
			next.other[name] = value
		default:
			err = &apiError{
				code: "InvalidAttributeName", query: "InvalidAttributeName", message: "Unknown Attribute " + name + ".",
			}
		}
		if err != nil {
			return err
		}
	}
	q.settings, q.modified = next, now()
	return nil
}

func parseRedrivePolicy(policy string) (deadLetterARN string, maxReceives int, err error) {
	if policy == "" {
		return "", 0, nil
	}
	var in struct {
		DeadLetterTargetARN string          `json:"deadLetterTargetArn"`
		MaxReceiveCount     json.RawMessage `json:"maxReceiveCount"` // a number or a string
	}
	refused := &apiError{
		code: "InvalidAttributeValue", query: "InvalidAttributeValue",
		message: "Invalid value for the parameter RedrivePolicy.",
	}
	if json.Unmarshal([]byte(policy), &in) != nil || in.DeadLetterTargetARN == "" {
		return "", 0, refused
	}
	maxReceives, err = strconv.Atoi(strings.Trim(string(in.MaxReceiveCount), `"`))
	if err != nil || maxReceives < 1 || maxReceives > 1000 {
		return "", 0, refused
	}
	return in.DeadLetterTargetARN, maxReceives, nil
}

func intInRange(name, value string, low, high int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return 0, &apiError{
			code: "InvalidAttributeValue", query: "InvalidAttributeValue",
			message: "Invalid value for the parameter " + name + ".",
		}
	}
	return n, nil
}

func secondsInRange(name, value string, low, high int) (time.Duration, error) {
	n, err := intInRange(name, value, low, high)
	return time.Duration(n) * time.Second, err
}

// attributes returns everything that GetQueueAttributes can show.
func (q *queue) attributes() map[string]string {
	visible, inFlight, delayed := q.counts()
	q.mu.Lock()
	defer q.mu.Unlock()
	seconds := func(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
	all := map[string]string{
		"ApproximateNumberOfMessages": strconv.Itoa(visible), "ApproximateNumberOfMessagesNotVisible": strconv.Itoa(inFlight),
		"ApproximateNumberOfMessagesDelayed": strconv.Itoa(delayed), "QueueArn": q.arn,
		"CreatedTimestamp":      strconv.FormatInt(q.created.Unix(), 10),
		"LastModifiedTimestamp": strconv.FormatInt(q.modified.Unix(), 10),
		"VisibilityTimeout":     seconds(q.settings.visibility), "MessageRetentionPeriod": seconds(q.settings.retention),
		"DelaySeconds": seconds(q.settings.delay), "ReceiveMessageWaitTimeSeconds": seconds(q.settings.wait),
		"MaximumMessageSize": strconv.Itoa(q.settings.maxSize), "SqsManagedSseEnabled": "true",
	}
	maps.Copy(all, q.settings.other)
	if q.settings.deadLetterARN != "" {
		policy, _ := json.Marshal(map[string]any{
			"deadLetterTargetArn": q.settings.deadLetterARN, "maxReceiveCount": q.settings.maxReceives,
		})
		all["RedrivePolicy"] = string(policy)
	}
	return all
}

// messageAttribute is a user-defined attribute of a message.
type messageAttribute struct {
	DataType    string `json:"DataType"`
	StringValue string `json:"StringValue,omitempty"`
	BinaryValue []byte `json:"BinaryValue,omitempty"`
}

// attributesMD5 returns the checksum that SDKs verify: over name, type and value, each with its length, sorted by name.
func attributesMD5(attributes map[string]messageAttribute) string {
	if len(attributes) == 0 {
		return ""
	}
	sum := md5.New()
	write := func(text []byte) {
		_ = binary.Write(sum, binary.BigEndian, uint32(len(text)))
		sum.Write(text)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		write([]byte(name))
		write([]byte(a.DataType))
		if strings.HasPrefix(a.DataType, "Binary") {
			sum.Write([]byte{2})
			write(a.BinaryValue)
		} else {
			sum.Write([]byte{1})
			write([]byte(a.StringValue))
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}
