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

// queues are the account's SQS queues.
type queues struct {
	arnPrefix string

	mu          sync.Mutex
	byName      map[string]*queue
	interrupted chan struct{} // closed, and made anew, when long polls have to end
	closed      bool
}

func newQueues(cfg Config) *queues {
	return &queues{
		arnPrefix: "arn:" + cfg.Partition + ":sqs:" + cfg.Region + ":" + cfg.Account + ":", byName: map[string]*queue{}, interrupted: make(chan struct{}),
	}
}

var queueName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`)

// create returns the named queue with the attributes. One that is there already must have them.
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

// checkRedrive refuses a redrive policy whose dead-letter queue there is not. No queue is ever deleted, so it stays.
func (qs *queues) checkRedrive(attributes map[string]string) error {
	deadLetterARN, _, err := redrive(attributes["RedrivePolicy"])
	if err == nil && deadLetterARN != "" && qs.byARN(deadLetterARN) == nil {
		err = sqsInvalid("Value %.300s for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist.", attributes["RedrivePolicy"])
	}
	return err
}

// byURL finds a queue by its URL, whatever host its client knows the simulator by.
func (qs *queues) byURL(url string) (*queue, error) {
	return qs.named(lastPart(url))
}

func (qs *queues) byARN(arn string) *queue {
	name, ok := strings.CutPrefix(arn, qs.arnPrefix)
	if q, err := qs.named(name); ok && err == nil {
		return q
	}
	return nil
}

func (qs *queues) named(name string) (*queue, error) {
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
	return slices.DeleteFunc(slices.Sorted(maps.Keys(qs.byName)), func(name string) bool { return !strings.HasPrefix(name, prefix) })
}

// interrupt ends the long polls that wait; for good, also those that begin later.
func (qs *queues) interrupt(forGood bool) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if qs.closed {
		return
	}
	close(qs.interrupted)
	if qs.closed = forGood; !forGood {
		qs.interrupted = make(chan struct{})
	}
}

func (qs *queues) interruption() <-chan struct{} {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	return qs.interrupted
}

// settings are a queue's attributes that can be set.
type settings struct {
	visibility, retention, delay, wait time.Duration
	maxSize                            int
	deadLetterARN                      string // with maxReceives, the redrive policy
	maxReceives                        int
	other                              map[string]string // kept and shown, without effect: Policy, Kms…
}

// maxMessage is SQS's bound on a message and on a batch, in bytes.
const maxMessage = 1 << 20

func defaultSettings() settings {
	return settings{visibility: 30 * time.Second, retention: 4 * 24 * time.Hour, maxSize: maxMessage, other: map[string]string{}}
}

// set changes attributes: all of them, or none and an error.
func (q *queue) set(attributes map[string]string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	next := q.settings
	next.other = maps.Clone(next.other)
	for name, value := range attributes {
		var err error
		switch name {
		case "VisibilityTimeout":
			next.visibility, err = secondsIn(name, value, 0, 43_200)
		case "MessageRetentionPeriod":
			next.retention, err = secondsIn(name, value, 60, 1_209_600)
		case "DelaySeconds":
			next.delay, err = secondsIn(name, value, 0, 900)
		case "ReceiveMessageWaitTimeSeconds":
			next.wait, err = secondsIn(name, value, 0, 20)
		case "MaximumMessageSize":
			next.maxSize, err = numberIn(name, value, 1024, maxMessage)
		case "RedrivePolicy":
			next.deadLetterARN, next.maxReceives, err = redrive(value)
		case "Policy", "RedriveAllowPolicy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled":
			next.other[name] = value
		default:
			err = &apiError{code: "InvalidAttributeName", query: "InvalidAttributeName", message: "Unknown Attribute " + name + "."}
		}
		if err != nil {
			return err
		}
	}
	q.settings, q.modified = next, now()
	return nil
}

func redrive(policy string) (deadLetterARN string, maxReceives int, err error) {
	if policy == "" {
		return "", 0, nil
	}
	var in struct {
		DeadLetterTargetARN string          `json:"deadLetterTargetArn"`
		MaxReceiveCount     json.RawMessage `json:"maxReceiveCount"` // a number, or one in quotes
	}
	refused := &apiError{code: "InvalidAttributeValue", query: "InvalidAttributeValue", message: "Invalid value for the parameter RedrivePolicy."}
	if json.Unmarshal([]byte(policy), &in) != nil || in.DeadLetterTargetARN == "" {
		return "", 0, refused
	}
	maxReceives, err = strconv.Atoi(strings.Trim(string(in.MaxReceiveCount), `"`))
	if err != nil || maxReceives < 1 || maxReceives > 1000 {
		return "", 0, refused
	}
	return in.DeadLetterTargetARN, maxReceives, nil
}

func numberIn(name, value string, low, high int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return 0, &apiError{code: "InvalidAttributeValue", query: "InvalidAttributeValue", message: "Invalid value for the parameter " + name + "."}
	}
	return n, nil
}

func secondsIn(name, value string, low, high int) (time.Duration, error) {
	n, err := numberIn(name, value, low, high)
	return time.Duration(n) * time.Second, err
}

// attributes are all that GetQueueAttributes can show.
func (q *queue) attributes() map[string]string {
	visible, inFlight, delayed := q.counts()
	q.mu.Lock()
	defer q.mu.Unlock()
	seconds := func(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
	all := map[string]string{
		"ApproximateNumberOfMessages": strconv.Itoa(visible), "ApproximateNumberOfMessagesNotVisible": strconv.Itoa(inFlight),
		"ApproximateNumberOfMessagesDelayed": strconv.Itoa(delayed), "QueueArn": q.arn,
		"CreatedTimestamp": strconv.FormatInt(q.created.Unix(), 10), "LastModifiedTimestamp": strconv.FormatInt(q.modified.Unix(), 10),
		"VisibilityTimeout": seconds(q.settings.visibility), "MessageRetentionPeriod": seconds(q.settings.retention),
		"DelaySeconds": seconds(q.settings.delay), "ReceiveMessageWaitTimeSeconds": seconds(q.settings.wait),
		"MaximumMessageSize": strconv.Itoa(q.settings.maxSize), "SqsManagedSseEnabled": "true",
	}
	maps.Copy(all, q.settings.other)
	if q.settings.deadLetterARN != "" {
		policy, _ := json.Marshal(map[string]any{"deadLetterTargetArn": q.settings.deadLetterARN, "maxReceiveCount": q.settings.maxReceives})
		all["RedrivePolicy"] = string(policy)
	}
	return all
}

// messageAttribute is one of a message's own attributes.
type messageAttribute struct {
	DataType    string `json:"DataType"`
	StringValue string `json:"StringValue,omitempty"`
	BinaryValue []byte `json:"BinaryValue,omitempty"`
}

// attributesMD5 is the sum that SDKs check: over name, type and value in the order of the names, each with its length.
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
