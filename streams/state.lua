#!lua name=reelstream_v1

-- What Redis itself does: every change of one user, or of one partition's item counters, as one atomic call.
-- The caller names every key (KEYS), all of one slot. Python's side of each call is streams/state.py.

local COLD = 'cold_start'
local CHUNK = 4000          -- arguments of one command; Lua's stack holds about 8000
local HIGHEST_EXPONENT = 256 -- doublings after which forward-decayed weights get a new landmark
local FORGOTTEN = 1e-60     -- weights below this after a new landmark are dropped

-- The shortest text that Redis reads back as the same double.
local function text(number)
  if number == math.floor(number) and math.abs(number) < 9007199254740992 then
    return string.format('%.0f', number)
  end
  local short = string.format('%.15g', number)
  return tonumber(short) == number and short or string.format('%.17g', number)
end

local function call_in_chunks(command, key, arguments)
  for first = 1, #arguments, CHUNK do
    redis.call(command, key, unpack(arguments, first, math.min(first + CHUNK - 1, #arguments)))
  end
end

-- users --------------------------------------------------------------------------------------------------------

-- keys of a user call: 1 profile, 2 recent, 3 seen, 4 genres, 5 event ids of watches, 6 of ratings
local EVENT_IDS = {watch = 5, rate = 6}

local function remembered_scores(key, ids, into)
  for first = 1, #ids, CHUNK do
    local last = math.min(first + CHUNK - 1, #ids)
    local scores = redis.call('ZMSCORE', key, unpack(ids, first, last))
    for i = first, last do
      local score = scores[i - first + 1]
      if score then into[ids[i]] = tonumber(score) end
    end
  end
end

-- Recall the event ids applied before, for one kind. Ids are forgotten (oldest first) just before a call that brings
-- new events reads them, never after it: so a redelivered call finds what it found the first time.
local function recall(key, events, kind, is_new, remembered)
  local known, old_ids, new_ids = {}, {}, {}
  for i, event in ipairs(events) do
    if event.kind == kind then
      local ids = is_new[i] and new_ids or old_ids
      ids[#ids + 1] = event.id
    end
  end
  remembered_scores(key, old_ids, known)
  if #new_ids > 0 then
    redis.call('ZREMRANGEBYRANK', key, 0, -(remembered + 1))
    remembered_scores(key, new_ids, known)
  end
  return known
end

-- For each event: whether it counts (the same answer at every redelivery) and whether it changes the state now;
-- and whether any position moved.
local function judge(keys, events, at, remembered)
  local is_new, moved = {}, false
  for i, event in ipairs(events) do
    is_new[i] = event.offset > at[event.position]
    if is_new[i] then at[event.position], moved = event.offset, true end
  end
  local known = {}
  for kind, index in pairs(EVENT_IDS) do
    known[kind] = recall(keys[index], events, kind, is_new, remembered)
  end
  local counted, fresh, added = {}, {}, {watch = {}, rate = {}}
  for i, event in ipairs(events) do
    local score = known[event.kind][event.id]
    counted[i] = score == nil or (not is_new[i] and score == event.score)
    fresh[i] = is_new[i] and counted[i]
    if fresh[i] then
      known[event.kind][event.id] = event.score
      local list = added[event.kind]
      list[#list + 1] = text(event.score)
      list[#list + 1] = event.id
    end
  end
  for kind, index in pairs(EVENT_IDS) do
    call_in_chunks('ZADD', keys[index], added[kind])
  end
  return counted, fresh, moved
end

-- Insert an entry at its place in a newest-first list: before the first that is not newer.
local function place(entries, entry, ts)
  local low, high = 1, #entries + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if cjson.decode(entries[middle])[2] <= ts then high = middle else low = middle + 1 end
  end
  table.insert(entries, low, entry)
end

local function remember_recent(key, fresh_events, newest, length)
  local is_late = false
  for _, event in ipairs(fresh_events) do
    if event.ts < newest then is_late = true end
    newest = math.max(newest, event.ts)
  end
  local entries = {}
  if is_late then
    entries = redis.call('LRANGE', key, 0, -1)
    for _, event in ipairs(fresh_events) do place(entries, event.entry, event.ts) end
    redis.call('DEL', key)
    call_in_chunks('RPUSH', key, entries)
  else
    for i, event in ipairs(fresh_events) do entries[i] = event.entry end
    call_in_chunks('LPUSH', key, entries)
  end
  redis.call('LTRIM', key, 0, length - 1)
end

-- Bring the affinities forward to the newest event time, then add what is fresh with its own decay.
local function like_genres(key, fresh_events, before, now, half_life)
  local decay = 2 ^ ((before - now) / half_life)
  local stored, values = redis.call('HGETALL', key), {}
  for i = 1, #stored, 2 do values[stored[i]] = tonumber(stored[i + 1]) * decay end
  for _, event in ipairs(fresh_events) do
    local weight = event.weight * 2 ^ ((event.ts - now) / half_life)
    for _, genre in ipairs(event.genres) do values[genre] = (values[genre] or 0) + weight end
  end
  local fields = {}
  for genre, value in pairs(values) do
    fields[#fields + 1] = genre
    fields[#fields + 1] = text(value)
  end
  call_in_chunks('HSET', key, fields)
end

-- A user as one JSON array:
-- [watches, ratings, rating_sum, first_ts, last_ts, mode, seen, counted, fresh, recent, genres].
local function render(keys, user, counted, fresh, returned)
  local stored, genres = redis.call('HGETALL', keys[4]), {}
  for i = 1, #stored, 2 do genres[#genres + 1] = cjson.encode(stored[i]) .. ':' .. stored[i + 1] end
  return table.concat({
    '[', text(user.watches), ',', text(user.ratings), ',', text(user.rating_sum), ',',
    text(user.first_ts), ',', text(user.last_ts), ',', cjson.encode(user.mode), ',',
    redis.call('SCARD', keys[3]), ',"', counted, '","', fresh, '",[',
    table.concat(redis.call('LRANGE', keys[2], 0, returned - 1), ','), '],{', table.concat(genres, ','), '}]',
  })
end

local function read_user(key, positions)
  local stored = redis.call(
    'HMGET', key, 'watches', 'ratings', 'rating_sum', 'first_ts', 'last_ts', 'mode', unpack(positions)
  )
  local user = {
    watches = tonumber(stored[1] or 0), ratings = tonumber(stored[2] or 0), rating_sum = tonumber(stored[3] or 0),
    first_ts = tonumber(stored[4] or 0), last_ts = tonumber(stored[5] or 0), mode = stored[6] or COLD,
  }
  local at = {}
  for i = 1, #positions do at[i] = tonumber(stored[6 + i] or -1) end
  return user, at
end

local function flags(list)
  local digits = {}
  for i, flag in ipairs(list) do digits[i] = flag and '1' or '0' end
  return table.concat(digits)
end

local function count_into(user, fresh_events)
  if user.watches + user.ratings == 0 then
    user.first_ts, user.last_ts = fresh_events[1].ts, fresh_events[1].ts
  end
  for _, event in ipairs(fresh_events) do
    if event.kind == 'watch' then
      user.watches = user.watches + 1
    else
      user.ratings = user.ratings + 1
      user.rating_sum = user.rating_sum + event.stars
    end
    user.first_ts = math.min(user.first_ts, event.ts)
    user.last_ts = math.max(user.last_ts, event.ts)
  end
end

local function write_user(key, user, positions, at)
  local fields = {
    'watches', text(user.watches), 'ratings', text(user.ratings), 'rating_sum', text(user.rating_sum),
    'first_ts', text(user.first_ts), 'last_ts', text(user.last_ts),
  }
  for i, position in ipairs(positions) do
    fields[#fields + 1] = position
    fields[#fields + 1] = text(at[i])
  end
  redis.call('HSET', key, unpack(fields))
end

-- args: 1 recent length, 2 entries returned, 3 event ids remembered, 4 half-life of genres in ms,
--       5 JSON {positions: [field], events: [{kind, position, offset, score, id, ts, stars, weight, item, entry, genres}]}
local function apply(keys, args)
  local length, returned, remembered, half_life =
    tonumber(args[1]), tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
  local batch = cjson.decode(args[5])
  local user, at = read_user(keys[1], batch.positions)
  local counted, fresh, moved = judge(keys, batch.events, at, remembered)
  local fresh_events, touched = {}, {}
  for i, event in ipairs(batch.events) do
    if fresh[i] then
      fresh_events[#fresh_events + 1] = event
      touched[#touched + 1] = event.item
    end
  end
  if #fresh_events > 0 then
    local known = user.watches + user.ratings > 0
    local before = known and user.last_ts or fresh_events[1].ts
    count_into(user, fresh_events)
    remember_recent(keys[2], fresh_events, before, length)
    call_in_chunks('SADD', keys[3], touched)
    like_genres(keys[4], fresh_events, before, user.last_ts, half_life)
  end
  if moved then write_user(keys[1], user, batch.positions, at) end
  return render(keys, user, flags(counted), flags(fresh), returned)
end

-- args: 1 entries returned
local function read(keys, args)
  return render(keys, read_user(keys[1], {}), '', '', tonumber(args[1]))
end

-- Put a user's list in place unless a newer one is there, and the mode it was published in with it.
-- keys: 1 profile, 2 recs   args: 1 sequence, 2 mode, 3 list
local function store_list(keys, args)
  local stored = tonumber(redis.call('HGET', keys[1], 'list_sequence') or -1)
  if tonumber(args[1]) < stored then return 0 end
  redis.call('HSET', keys[1], 'mode', args[2], 'list_sequence', args[1])
  redis.call('SET', keys[2], args[3])
  return 1
end

-- items --------------------------------------------------------------------------------------------------------

-- Forward decay (Cormode, Shkapenyuk, Srivastava and Xu 2009, "Forward decay: a practical time decay model for
-- streaming systems"): an event at ts weighs w * 2^((ts - landmark) / half_life) for good, and a reader divides by
-- 2^((now - landmark) / half_life). A new landmark only rescales, so the order of the items never depends on it.
local function move_landmark(key, clock, landmark)
  local factor = 2 ^ ((clock.landmark - landmark) / clock.half_life)
  redis.call('ZUNIONSTORE', key, 1, key, 'WEIGHTS', text(factor))
  redis.call('ZREMRANGEBYSCORE', key, 0, FORGOTTEN)
  clock.landmark = landmark
end

local function heat(key, clock, event, half_life)
  if not clock.landmark then
    clock.landmark, clock.newest, clock.half_life = event.ts, event.ts, half_life
  end
  if clock.half_life ~= half_life then
    move_landmark(key, clock, clock.newest)
    clock.half_life = half_life
  end
  if event.ts - clock.landmark > HIGHEST_EXPONENT * half_life then move_landmark(key, clock, event.ts) end
  local weight = event.weight * 2 ^ ((event.ts - clock.landmark) / half_life)
  if weight > 0 then redis.call('ZINCRBY', key, text(weight), event.item) end
  clock.newest = math.max(clock.newest, event.ts)
end

-- keys: 1 at, 2 watches, 3 ratings, 4 rating_sum, 5 hot
-- args: 1 half-life of hot in ms, 2 JSON {positions: [field], events: [{counted, position, offset, kind, item, ...}]}
-- Returns how many events changed something now.
local function count_items(keys, args)
  local half_life, batch = tonumber(args[1]), cjson.decode(args[2])
  local stored = redis.call('HMGET', keys[1], 'landmark', 'newest_ts', 'half_life_ms', unpack(batch.positions))
  local clock = {landmark = tonumber(stored[1]), newest = tonumber(stored[2]), half_life = tonumber(stored[3])}
  local at, applied, moved = {}, 0, false
  for i = 1, #batch.positions do at[i] = tonumber(stored[3 + i] or -1) end
  for _, event in ipairs(batch.events) do
    if event.offset > at[event.position] then
      at[event.position], moved = event.offset, true
      if event.counted then
        applied = applied + 1
        redis.call('HINCRBY', keys[event.kind == 'watch' and 2 or 3], event.item, 1)
        if event.kind == 'rate' then redis.call('HINCRBYFLOAT', keys[4], event.item, text(event.stars)) end
        heat(keys[5], clock, event, half_life)
      end
    end
  end
  if not moved then return 0 end
  local fields = {}
  for i, position in ipairs(batch.positions) do
    fields[#fields + 1] = position
    fields[#fields + 1] = text(at[i])
  end
  redis.call('HSET', keys[1], unpack(fields))
  if clock.landmark then
    redis.call('HSET', keys[1], 'landmark', text(clock.landmark), 'newest_ts', text(clock.newest),
      'half_life_ms', text(clock.half_life))
  end
  return applied
end

-- The hottest items of a partition and the clock their weights are relative to, read at one moment.
-- keys: 1 at, 2 hot   args: 1 how many
local function read_hot(keys, args)
  local clock = redis.call('HMGET', keys[1], 'landmark', 'newest_ts', 'half_life_ms')
  return {clock, redis.call('ZRANGE', keys[2], 0, tonumber(args[1]) - 1, 'REV', 'WITHSCORES')}
end

-- keys: 1 zset   args: score, member, score, member, ...
local function replace_zset(keys, args)
  redis.call('DEL', keys[1])
  call_in_chunks('ZADD', keys[1], args)
  return #args / 2
end

redis.register_function('reelstream_v1_apply', apply)
redis.register_function('reelstream_v1_store_list', store_list)
redis.register_function('reelstream_v1_count_items', count_items)
redis.register_function('reelstream_v1_replace_zset', replace_zset)
redis.register_function{function_name = 'reelstream_v1_read', callback = read, flags = {'no-writes'}}
redis.register_function{function_name = 'reelstream_v1_read_hot', callback = read_hot, flags = {'no-writes'}}
