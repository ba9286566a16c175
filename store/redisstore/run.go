package redisstore

import (
	"context"
	"crypto/sha1" // the name that Redis gives a script, not a protection
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// script is a Lua script. write says that it changes something: then it is
// never sent twice for one call, because the second answer would not be the
// first's (a code that this very call consumed would look like a used one).
type script struct {
	source, sha string
	write       bool
}

func newScript(source string, write bool) script {
	sum := sha1.Sum([]byte(source))
	return script{source, hex.EncodeToString(sum[:]), write}
}

// call is a script with its arguments. All keys, and those that the script
// derives from them, are in one hash slot.
type call struct {
	keys []string
	args []any
}

// once is a command that the client does not send again after an error.
type once struct{ *redis.Cmd }

// NoRetry is what the client asks before it repeats a command.
func (once) NoRetry() bool { return true }

func (s script) command(ctx context.Context, how, what string, c call) (redis.Cmder, *redis.Cmd) {
	args := make([]any, 0, 3+len(c.keys)+len(c.args))
	args = append(args, how, what, len(c.keys))
	for _, k := range c.keys {
		args = append(args, k)
	}
	cmd := redis.NewCmd(ctx, append(args, c.args...)...)
	cmd.SetFirstKeyPos(3)
	if s.write {
		return once{cmd}, cmd
	}
	return cmd, cmd
}

// run runs a script, by its digest if the server knows it.
func (s *Store) run(ctx context.Context, sc script, c call) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	send, cmd := sc.command(ctx, "evalsha", sc.sha, c)
	_ = s.client.Process(ctx, send) // the error is the command's
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		send, cmd = sc.command(ctx, "eval", sc.source, c)
		_ = s.client.Process(ctx, send)
	}
	return cmd.Result()
}

// runAll runs a script with several arguments at once, in one pipeline: one
// round trip to each node concerned. The results are in the order of calls.
func (s *Store) runAll(ctx context.Context, sc script, calls []call) ([]any, error) {
	if len(calls) == 1 {
		result, err := s.run(ctx, sc, calls[0])
		return []any{result}, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	results := make([]any, len(calls))
	var unknown []int
	err := s.pipeline(ctx, sc, "evalsha", sc.sha, calls, func(i int, cmd *redis.Cmd) error {
		if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			unknown = append(unknown, i)
			return nil
		}
		results[i] = cmd.Val()
		return cmd.Err()
	})
	if err != nil || len(unknown) == 0 {
		return results, err
	}
	again := make([]call, len(unknown))
	for k, i := range unknown {
		again[k] = calls[i]
	}
	err = s.pipeline(ctx, sc, "eval", sc.source, again, func(k int, cmd *redis.Cmd) error {
		results[unknown[k]] = cmd.Val()
		return cmd.Err()
	})
	return results, err
}

func (s *Store) pipeline(ctx context.Context, sc script, how, what string, calls []call, each func(int, *redis.Cmd) error) error {
	pipe := s.client.Pipeline()
	cmds := make([]*redis.Cmd, len(calls))
	for i, c := range calls {
		send, cmd := sc.command(ctx, how, what, c)
		_ = pipe.Process(ctx, send) // queues
		cmds[i] = cmd
	}
	_, _ = pipe.Exec(ctx) // the errors are the commands'
	for i, cmd := range cmds {
		if err := each(i, cmd); err != nil {
			return err
		}
	}
	return nil
}

// number runs a script whose answer is a number.
func (s *Store) number(ctx context.Context, sc script, c call) (int64, error) {
	result, err := s.run(ctx, sc, c)
	if err != nil {
		return 0, err
	}
	n, ok := result.(int64)
	if !ok {
		return 0, errReply
	}
	return n, nil
}

// array runs a script whose answer is a list.
func (s *Store) array(ctx context.Context, sc script, c call) ([]any, error) {
	result, err := s.run(ctx, sc, c)
	if err != nil {
		return nil, err
	}
	list, ok := result.([]any)
	if !ok {
		return nil, errReply
	}
	return list, nil
}

// numbers runs a script whose answer is a list of so many numbers.
func (s *Store) numbers(ctx context.Context, sc script, c call, length int) ([]int, error) {
	list, err := s.array(ctx, sc, c)
	if err != nil {
		return nil, err
	}
	if len(list) != length {
		return nil, errReply
	}
	numbers := make([]int, length)
	for i, v := range list {
		n, ok := v.(int64)
		if !ok {
			return nil, errReply
		}
		numbers[i] = int(n)
	}
	return numbers, nil
}

var errReply = errors.New("the server's answer is not what its script returns")

// outage wraps an error that is not one of the contract's answers.
func outage(doing string, err error) error {
	return fmt.Errorf("redisstore: %s: %w", doing, err)
}
