#!lua name=reelstream_v9

-- What Redis itself does: every change of one user, or of one partition's item counters, as one atomic call.
-- The caller names every key (KEYS): all of one slot, but for the positions that guard a user's call on a single server.
-- Their names and arguments are in calls.py; store.py and trending.py call them.

local COLD = 'cold_start'
local CHUNK = 4000          -- arguments of one command; Lua's stack holds about 8000
local HIGHEST_EXPONENT = 256 -- doublings after which forward-decayed weights get a new landmark
local FORGOTTEN = 1e-60     -- weights below this after a new landmark are dropped
local RANK = {watch = 0, rate = 1} -- of two events at the same time, the rating is the newer,
local ACTION_RANK = 2       -- and one of another kind newer still
local FAR = 3               -- half-lives; one event that far ahead weighs as eight of now, and with ten as a thousand
local OLDEST = 10           -- half-lives; what is older would count less than a thousandth
local MIN_OWN_RATINGS = 5   -- from which a user's mean says more than the scale; as in model/feedback.py
local SCALE_MIDDLE = 3      -- stars
local ROUNDING = 1e-6       -- stars; a mean of equal ratings such as 3.7 may lie a little above them
local NEWCOMER_EVENTS = 10  -- of each kind, that a user is a newcomer for
local COUNTS, POSITIVE, NEWCOMERS = 4, 2, 1 -- bits of a verdict; the lower two are kept in the score of an event
local RECORD, WITHDRAWN = 8, 4 -- a record's score is its event's times the one; the other bit says that it was taken back
local PARTITIONS = 4096     -- an event's score is its offset times this, and its partition
local MAX_DECISIONS = 8     -- about one item and user; of more, the oldest are forgotten and cannot come to stand again
local GENRE_REST = 1e-6     -- of a weight; what is left of less is rounding, as genres are kept to 12 digits
local HEAT_REST = 1e-9      -- the same of heat, which is kept to all its digits
local SAFE_MS = 10000       -- a position older than this has reached every disk and replica that it will reach

local server                -- run id of this process; a restarted or another server has another

local function this_server()
  server = server or string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  return server
end

-- Refuse a call from a worker that does not know this server: it may hold less than that worker has seen applied.
local function refusal(known_servers)
  if known_servers == '' or string.find(known_servers, this_server(), 1, true) then return nil end
  return redis.error_reply('UNKNOWNSERVER ' .. this_server())
end

-- The error for a partition position before what the caller knows to be applied: the database was emptied since.
local function lost(position, stored, least)
  return redis.error_reply(string.format('LOSTPOSITION %s is %.0f, not %.0f or more', position, stored, least))
end

-- Refuse a user's call where a partition's position was lost, before the user gets one that would hide what was lost.
-- batch.guard[k] numbers the positions that rest in keys[first + k], batch.least[k] is where each must be.
local function hidden_loss(keys, first, batch)
  for k, numbers in ipairs(batch.guard) do
    local fields = {}
    for n, i in ipairs(numbers) do fields[n] = batch.positions[i] end
    local stored = redis.call('HMGET', keys[first + k], unpack(fields))
    for n, least in ipairs(batch.least[k]) do
      local at = tonumber(stored[n] or -1)
      if at < least then return lost(fields[n], at, least) end
    end
  end
  return nil
end

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

-- Put the scores of those members that a zset holds into a table.
local function scores_of(key, members, into)
  for first = 1, #members, CHUNK do
    local last = math.min(first + CHUNK - 1, #members)
    local scores = redis.call('ZMSCORE', key, unpack(members, first, last))
    for i = first, last do
      local score = scores[i - first + 1]
      if score then into[members[i]] = tonumber(score) end
    end
  end
end

-- users --------------------------------------------------------------------------------------------------------

-- keys of a user call: 1 profile, 2 recent, 3 seen, 4 genres, 5 hidden, event ids: 6 of watches, 7 of ratings,
-- 8 of actions, and 9 again: how many more times each item was touched after the first
local EVENT_IDS = {watch = 6, rate = 7, action = 8}
local N_USER_KEYS = 9

-- A record of a counted event: 8 bytes of the SHA-1 of its id, and its score as a big-endian double; the newest is the
-- last. A withdrawal has one too. Where it comes before its event, the id of that has one with the withdrawal's own score,
-- below zero: such an event is awaited, in the withdrawal's partition alone. Two ids of one user and topic that share 8
-- bytes are not met: among 512 the chance is 3e-17 for each event.
local MARK_BYTES, RECORD_BYTES = 8, 16

local function mark_of(id)
  local hex = redis.sha1hex(id)
  return struct.pack('>I4I4', tonumber(string.sub(hex, 1, 8), 16), tonumber(string.sub(hex, 9, 16), 16))
end

local function is_withdrawal(batch, i)
  return batch.withdraws ~= nil and batch.withdraws[i] ~= ''
end

-- The partition of an event, by its score.
local function partition_of(score)
  return score % PARTITIONS
end

-- Which events of a partition were taken back before they came.
local function awaited_in(ids, partition)
  ids.awaited[partition] = ids.awaited[partition] or {known = {}, place = {}, added_as = {}}
  return ids.awaited[partition]
end

-- Recall the last record of an id, and those of it that is awaited.
local function recall_one(ids, id)
  local mark = mark_of(id)
  local at = string.find(ids.records, mark, 1, true)
  while at do
    local place = (at - 1) / RECORD_BYTES + 1
    if place == math.floor(place) then
      local score = struct.unpack('>d', ids.records, at + MARK_BYTES)
      local of = score < 0 and awaited_in(ids, partition_of(math.floor(-score / RECORD))) or ids
      of.place[id], of.known[id] = place, score
    end
    at = string.find(ids.records, mark, at + 1, true)
  end
end

-- Recall the event ids applied before, from one topic. Older ones than are remembered are forgotten only where a call
-- adds new ones, after it read them: so a redelivered call finds what it found the first time.
local function recall(key, batch, source, remembered)
  local ids = {
    key = key, records = '', remembered = remembered, known = {}, place = {}, added = {}, n_added = 0, added_as = {},
    awaited = {},
  }
  for i, id in ipairs(batch.id) do
    if batch.source[i] == source then
      if ids.n_stored == nil then
        ids.records = redis.call('GET', key) or ''
        ids.n_stored = #ids.records / RECORD_BYTES
      end
      recall_one(ids, id)
      if is_withdrawal(batch, i) then recall_one(ids, batch.withdraws[i]) end
    end
  end
  return ids
end

-- Whether an id is among the last records: those of this call and, before them, those stored.
local function is_among_last(ids, of, id)
  if not of.known[id] then return false end
  local newer = of.added_as[id]
    and ids.n_added - of.added_as[id]
    or ids.n_added + ids.n_stored - of.place[id]
  return newer < ids.remembered
end

-- Whether an event of this id has counted, or was a withdrawal.
local function is_remembered(ids, id)
  return is_among_last(ids, ids, id)
end

-- Whether an event of this id was taken back, in this partition, before it came.
local function is_awaited(ids, id, partition)
  local of = ids.awaited[partition]
  return of ~= nil and is_among_last(ids, of, id)
end

local function add_record(ids, of, id, score)
  of.known[id] = score
  ids.n_added = ids.n_added + 1
  of.added_as[id] = ids.n_added
  ids.added[ids.n_added] = mark_of(id) .. struct.pack('>d', score)
end

local function remember(ids, id, score)
  add_record(ids, ids, id, score)
end

-- Note in the record of an event that it was taken back.
local function note_withdrawn(ids, id)
  ids.known[id] = ids.known[id] + WITHDRAWN
  local record = mark_of(id) .. struct.pack('>d', ids.known[id])
  if ids.added_as[id] then
    ids.added[ids.added_as[id]] = record
  else
    local before = (ids.place[id] - 1) * RECORD_BYTES
    ids.records = string.sub(ids.records, 1, before) .. record .. string.sub(ids.records, before + RECORD_BYTES + 1)
  end
end

-- Written whole, so that the string takes no more than its length; an APPEND would reserve as much again. Returns whether
-- this makes the key.
local function write_ids(ids)
  if ids.n_added == 0 then return false end
  local kept = string.sub(ids.records, -RECORD_BYTES * ids.remembered)
  redis.call('SET', ids.key, kept .. table.concat(ids.added), 'KEEPTTL')
  return ids.n_stored == 0
end

-- Move the positions; return which events are beyond them, and whether any is.
local function advance(batch, at)
  local is_new, moved = {}, false
  for i, offset in ipairs(batch.offset) do
    local position = batch.position[i]
    is_new[i] = offset > at[position]
    if is_new[i] then at[position], moved = offset, true end
  end
  return is_new, moved
end

-- Whether an event says that the user liked the item: as the caller says, and of a rating only from the user's own middle
-- on. All that is needed of a user's past comes from the same topic, whose order is always the same.
local function is_positive(batch, i, tally)
  if not batch.positive[i] then return false end
  if batch.source[i] ~= 'rate' then return true end
  return batch.stars[i] >= (tally.rate >= MIN_OWN_RATINGS and tally.rating_sum / tally.rate - ROUNDING or SCALE_MIDDLE)
end

-- The lower bits of the verdict on an event that the tally comes before.
local function judge_first(batch, i, tally)
  return (is_positive(batch, i, tally) and POSITIVE or 0) + (tally[batch.source[i]] < NEWCOMER_EVENTS and NEWCOMERS or 0)
end

-- How many events of a source, and the sum of the stars, with one event more or, where the sign is -1, less.
local function count_in_tally(tally, batch, i, sign)
  local source = batch.source[i]
  tally[source] = tally[source] + sign
  if source == 'rate' then tally.rating_sum = tally.rating_sum + sign * batch.stars[i] end
end

-- The verdict on a withdrawal that is new to its user: that on its event where it takes one back, else 0. The event must
-- have counted in the withdrawal's own partition: of two partitions nobody knows the order. One that did not come yet is
-- awaited, so that it will not count. Where the caller has looked for another event, or for none, the call is to be made
-- again with that which wanted names.
local function judge_withdrawal(batch, i, ids, tally, wanted)
  local target, score, bits = batch.withdraws[i], batch.score[i], 0
  local partition, known = partition_of(score), ids.known[target]
  if not is_remembered(ids, target) then
    if not is_awaited(ids, target, partition) then
      add_record(ids, awaited_in(ids, partition), target, -(score * RECORD + WITHDRAWN))
    end
  elseif known % RECORD < WITHDRAWN and partition_of(math.floor(known / RECORD)) == partition then
    if math.floor(known / RECORD) ~= batch.taken[i] then
      wanted[#wanted + 1] = string.format('%d:%.0f', i - 1, math.floor(known / RECORD))
    end
    if batch.readable[i] then
      bits = WITHDRAWN + known % COUNTS
      note_withdrawn(ids, target)
      count_in_tally(tally, batch, i, -1)
    end
  end
  remember(ids, batch.id[i], score * RECORD + bits)
  return bits > 0 and COUNTS + bits % COUNTS or 0
end

-- For each event the bits of its verdict, 0 if it does not count, the same at every redelivery for as long as its id is
-- remembered; '1' if it changes the state now, the numbers of those that do, and whether a key was made. An id that is
-- forgotten by now counts, is judged by the present sums, and is no newcomer's. A withdrawal counts if it takes an event
-- back. Nothing was written where the first of it is nil; the second is then the error to return.
local function judge(keys, batch, is_new, remembered, user)
  local ids_of = {}
  for source, index in pairs(EVENT_IDS) do
    ids_of[source] = recall(keys[index], batch, source, remembered)
  end
  local tally = {watch = user.watches, rate = user.ratings, action = user.actions, rating_sum = user.rating_sum}
  local verdicts, fresh, chosen, wanted, one_is_new = {}, {}, {}, {}, false
  for i, id in ipairs(batch.id) do
    local source, score = batch.source[i], batch.score[i]
    local ids, partition = ids_of[source], partition_of(score)
    local known, takes_back = ids.known[id], is_withdrawal(batch, i)
    local is_known = is_remembered(ids, id) or is_awaited(ids, id, partition)
    verdicts[i] = 0
    if is_new[i] and not is_known then
      if takes_back then
        verdicts[i] = judge_withdrawal(batch, i, ids, tally, wanted)
      else
        local bits = judge_first(batch, i, tally)
        verdicts[i] = COUNTS + bits
        remember(ids, id, score * RECORD + bits)
        count_in_tally(tally, batch, i, 1)
      end
    elseif is_new[i] then
      verdicts[i] = 0
    elseif known == nil then
      local is_awaited_here = ids.awaited[partition] and ids.awaited[partition].known[id]
      if not takes_back and not is_awaited_here then
        verdicts[i] = COUNTS + (is_positive(batch, i, tally) and POSITIVE or 0)
      end
    elseif math.floor(known / RECORD) == score and (not takes_back or known % RECORD >= WITHDRAWN) then
      verdicts[i] = COUNTS + known % COUNTS
    end
    local changes = is_new[i] and verdicts[i] > 0
    fresh[i] = changes and '1' or '0'
    if changes then chosen[#chosen + 1] = i end
  end
  if #wanted > 0 then return nil, redis.error_reply('LOOKAGAIN ' .. table.concat(wanted, ' ')) end
  for _, ids in pairs(ids_of) do one_is_new = write_ids(ids) or one_is_new end
  return verdicts, table.concat(fresh), chosen, one_is_new
end

-- Whether an event is newer than an entry of the list, or as new and applied after it.
local function is_newer(ts, kind, entry)
  if ts ~= entry[2] then return ts > entry[2] end
  return (RANK[kind] or ACTION_RANK) >= (RANK[entry[3]] or ACTION_RANK)
end

-- Insert an entry at its place in a newest-first list: before the first that is not newer.
local function place(entries, entry, ts, kind)
  local low, high = 1, #entries + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_newer(ts, kind, cjson.decode(entries[middle])) then high = middle else low = middle + 1 end
  end
  table.insert(entries, low, entry)
end

-- Whether each chosen event is newer than all before it; no entry is newer than last_ts, nil without one.
local function is_in_order(key, batch, chosen, last_ts)
  local newest
  if last_ts then
    local entry = batch.ts[chosen[1]] == last_ts and redis.call('LINDEX', key, 0)
    newest = entry and cjson.decode(entry) or {'', last_ts, 'watch'}
  end
  for _, i in ipairs(chosen) do
    if newest and not is_newer(batch.ts[i], batch.kind[i], newest) then return false end
    newest = {'', batch.ts[i], batch.kind[i]}
  end
  return true
end

local function remember_recent(key, batch, chosen, last_ts, length)
  local entries, stale, in_order = {}, 0, is_in_order(key, batch, chosen, last_ts)
  if in_order then
    for n, i in ipairs(chosen) do entries[n] = batch.entry[i] end
  else
    entries = redis.call('LRANGE', key, 0, -1)
    stale = #entries -- trimmed, not deleted first: a key that was deleted would have lost its expiry
    for _, i in ipairs(chosen) do place(entries, batch.entry[i], batch.ts[i], batch.kind[i]) end
  end
  call_in_chunks(in_order and 'LPUSH' or 'RPUSH', key, entries)
  redis.call('LTRIM', key, stale, stale + length - 1)
end

-- What was decided about an item, the newest first: pairs of what and when.
local function read_decisions(stored)
  local decisions = {}
  for what, ts in string.gmatch(stored or '', '(%l+) (%d+)') do decisions[#decisions + 1] = {what, tonumber(ts)} end
  return decisions
end

-- Write them, and count in whether the item is hidden now, which it was or was not before.
local function write_decisions(key, user, item, decisions, before)
  local told = {}
  for n = 1, math.min(#decisions, MAX_DECISIONS) do told[n] = decisions[n][1] .. ' ' .. text(decisions[n][2]) end
  if #told > 0 then redis.call('HSET', key, item, table.concat(told, ' ')) else redis.call('HDEL', key, item) end
  local now = decisions[1] and decisions[1][1]
  user.hidden = user.hidden + (now == 'hide' and 1 or 0) - (before == 'hide' and 1 or 0)
end

-- Note what hides items from the user, or undoes that; of several, the one with the newest time stands. Returns whether
-- this makes the key.
local function note_hidden(key, user, batch, chosen)
  local is_first = false
  for _, i in ipairs(chosen) do
    if batch.effect[i] ~= '' then
      local item, ts, at = batch.item[i], batch.ts[i], 1
      local decisions = read_decisions(redis.call('HGET', key, item))
      local before = decisions[1] and decisions[1][1]
      while decisions[at] and decisions[at][2] > ts do at = at + 1 end
      table.insert(decisions, at, {batch.effect[i], ts})
      is_first = is_first or redis.call('EXISTS', key) == 0
      write_decisions(key, user, item, decisions, before)
    end
  end
  return is_first
end

-- Take a decision about an item back, so that the newest of the others stands.
local function withdraw_decision(key, user, item, effect, ts)
  local decisions = read_decisions(redis.call('HGET', key, item))
  local before = decisions[1] and decisions[1][1]
  for n, decision in ipairs(decisions) do
    if decision[1] == effect and decision[2] == ts then
      table.remove(decisions, n)
      write_decisions(key, user, item, decisions, before)
      return
    end
  end
end

-- Put touched items among those seen, and count how many more times the others were touched. Returns whether this makes
-- the key of these numbers.
local function note_seen(seen, again, items)
  local present, more, is_first = {}, {}, false
  for first = 1, #items, CHUNK do
    local last = math.min(first + CHUNK - 1, #items)
    local found = redis.call('SMISMEMBER', seen, unpack(items, first, last))
    for i = first, last do present[items[i]] = found[i - first + 1] == 1 end
  end
  for _, item in ipairs(items) do
    if present[item] then more[item] = (more[item] or 0) + 1 end
    present[item] = true
  end
  if next(more) then is_first = redis.call('EXISTS', again) == 0 end
  for item, n in pairs(more) do redis.call('HINCRBY', again, item, n) end
  call_in_chunks('SADD', seen, items)
  return is_first
end

local function withdraw_seen(seen, again, item)
  local more = tonumber(redis.call('HGET', again, item) or 0)
  if more > 1 then
    redis.call('HINCRBY', again, item, -1)
  elseif more == 1 then
    redis.call('HDEL', again, item)
  else
    redis.call('SREM', seen, item)
  end
end

-- The newest entries as JSON, without those of items that are hidden from the user.
local function recent_shown(keys, user, returned)
  local entries = redis.call('LRANGE', keys[2], 0, returned - 1)
  if user.hidden == 0 or #entries == 0 then return entries end
  local items, shown = {}, {}
  for n, entry in ipairs(entries) do items[n] = cjson.decode(entry)[1] end
  for n, found in ipairs(redis.call('HMGET', keys[5], unpack(items))) do
    if not (found and string.find(found, '^hide ')) then shown[#shown + 1] = entries[n] end
  end
  return shown
end

local function read_genres(key)
  local stored, values = redis.call('HGETALL', key), {}
  for i = 1, #stored, 2 do values[stored[i]] = tonumber(stored[i + 1]) end
  return values
end

-- Bring the affinities forward to the newest event time, then add what was liked with its own decay.
local function like_genres(key, values, batch, liked, before, now, half_life)
  local decay = 2 ^ ((before - now) / half_life)
  for genre, value in pairs(values) do values[genre] = value * decay end
  for _, i in ipairs(liked) do
    local weight = batch.weight[i] * 2 ^ ((batch.ts[i] - now) / half_life)
    for _, genre in ipairs(batch.genres[i]) do values[genre] = (values[genre] or 0) + weight end
  end
  local fields = {}
  for genre, value in pairs(values) do
    local stored = string.format('%.12g', value)
    fields[#fields + 1] = genre
    fields[#fields + 1] = stored
    values[genre] = tonumber(stored) -- so that this call returns what a later one reads
  end
  call_in_chunks('HSET', key, fields)
end

-- How many events of a user count.
local function n_events(user)
  return user.watches + user.ratings + user.actions
end

-- A user as one JSON array:
-- [watches, ratings, actions, rating_sum, first_ts, last_ts, mode, seen, hidden, verdicts, fresh, recent, genres,
-- impressions, withdrawn, began].
local function render(keys, user, genres, verdicts, fresh, returned)
  return table.concat({
    '[', text(user.watches), ',', text(user.ratings), ',', text(user.actions), ',', text(user.rating_sum), ',',
    text(n_events(user) > 0 and user.first_ts or 0), ',', text(user.last_ts), ',', cjson.encode(user.mode), ',',
    redis.call('SCARD', keys[3]), ',', text(user.hidden), ',"', verdicts, '","', fresh, '",[',
    table.concat(recent_shown(keys, user, returned), ','), '],', cjson.encode(genres), ',', user.impressions, ',',
    text(user.withdrawn), ',', cjson.encode(user.began), ']',
  })
end

local function read_user(key, positions)
  local stored = redis.call(
    'HMGET', key, 'watches', 'ratings', 'rating_sum', 'first_ts', 'last_ts', 'mode', 'renewed', 'actions', 'hidden',
    'impressions', 'withdrawn', 'began', unpack(positions)
  )
  local user = {
    watches = tonumber(stored[1] or 0), ratings = tonumber(stored[2] or 0), rating_sum = tonumber(stored[3] or 0),
    first_ts = tonumber(stored[4] or 0), last_ts = tonumber(stored[5] or 0), mode = stored[6] or COLD,
    renewed = stored[7], actions = tonumber(stored[8] or 0), hidden = tonumber(stored[9] or 0),
    impressions = stored[10] or '{}', withdrawn = tonumber(stored[11] or 0), began = stored[12] or '',
    is_known = stored[5],
  }
  local at = {}
  for i = 1, #positions do at[i] = tonumber(stored[12 + i] or -1) end
  return user, at
end

local COUNTER = {watch = 'watches', rate = 'ratings', action = 'actions'}

local function count_one(user, batch, i, sign)
  local name = COUNTER[batch.source[i]]
  user[name] = user[name] + sign
  if name == 'ratings' then user.rating_sum = user.ratings > 0 and user.rating_sum + sign * batch.stars[i] or 0 end
end

-- first_ts is the earliest of all events that ever counted, also of those that were taken back since: which one came
-- first after those is known to nobody, and to begin anew would depend on how the topics interleave.
local function count_into(user, batch, chosen)
  local first_ts = batch.ts[chosen[1]]
  if n_events(user) == 0 then
    user.first_ts, user.last_ts = user.withdrawn > 0 and user.first_ts or first_ts, first_ts
  end
  for _, i in ipairs(chosen) do
    count_one(user, batch, i, 1)
    user.first_ts = math.min(user.first_ts, batch.ts[i])
    user.last_ts = math.max(user.last_ts, batch.ts[i])
  end
end

-- The first record of each topic, as words in order, so that they do not depend on how topics interleave. Who is deleted
-- and comes back begins with later ones, so they tell lists of before from those of since: what a list saw of them stays
-- true of its user. Users whom an earlier release began have none. Words are short, as a value beyond 64 bytes makes the
-- whole hash take several times as much.
local function begin_user(user, batch, is_new)
  if user.is_known and user.began == '' then return end
  for i, position in ipairs(batch.position) do
    local place = string.sub(batch.source[i], 1, 1) .. string.match(batch.positions[position], '%d+$')
    if is_new[i] and not string.find(' ' .. user.began, ' ' .. place .. ':', 1, true) then
      local words = {place .. ':' .. text(batch.offset[i])}
      for word in string.gmatch(user.began, '%S+') do words[#words + 1] = word end
      table.sort(words)
      user.began = table.concat(words, ' ')
    end
  end
end

local function write_user(key, user, positions, at)
  local fields = {
    'watches', text(user.watches), 'ratings', text(user.ratings), 'rating_sum', text(user.rating_sum),
    'first_ts', text(user.first_ts), 'last_ts', text(user.last_ts), 'actions', text(user.actions),
    'hidden', text(user.hidden),
  }
  if user.began ~= '' then
    fields[#fields + 1] = 'began'
    fields[#fields + 1] = user.began
  end
  if user.withdrawn > 0 then
    fields[#fields + 1] = 'withdrawn'
    fields[#fields + 1] = text(user.withdrawn)
  end
  for i, position in ipairs(positions) do
    fields[#fields + 1] = position
    fields[#fields + 1] = text(at[i])
  end
  redis.call('HSET', key, unpack(fields))
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- How many kinds of things are known of a user; it grows with every key, but for those that actions alone may make.
local function n_kinds(user, genres)
  return (user.watches > 0 and 1 or 0) + (user.ratings > 0 and 1 or 0) + (user.actions > 0 and 1 or 0)
    + (next(genres) and 1 or 0)
end

-- A user is forgotten when no event has changed it for so long. Renewing nine keys at each call would cost a quarter of
-- it; so they are renewed once in a hundredth of that time, and when one of them is new.
local function renew_expiry(keys, idle_ms, user, one_is_new)
  idle_ms = tonumber(idle_ms)
  if idle_ms == 0 then return end
  local renewed = text(math.floor(now_ms() / math.ceil(idle_ms / 100)))
  if renewed == user.renewed and not one_is_new then return end
  redis.call('HSET', keys[1], 'renewed', renewed)
  for i = 1, N_USER_KEYS do redis.call('PEXPIRE', keys[i], idle_ms) end
end

-- Apply the events numbered in chosen, none of them a withdrawal. Returns whether a key was made that n_kinds does not tell.
local function add_events(keys, user, genres, batch, chosen, verdicts, length, half_life)
  if #chosen == 0 then return false end
  local last_ts, one_is_new = n_events(user) > 0 and user.last_ts or nil, false
  local touching, touched, liked = {}, {}, {}
  for _, i in ipairs(chosen) do
    local likes = verdicts[i] % COUNTS >= POSITIVE
    if batch.effect[i] == '' then
      batch.entry[i] = batch.entry[i] .. (likes and ',true]' or ',false]')
      touching[#touching + 1], touched[#touched + 1] = i, batch.item[i]
    end
    if likes then liked[#liked + 1] = i end
  end
  if #touching > 0 and user.watches + user.ratings == 0 then one_is_new = redis.call('EXISTS', keys[3]) == 0 end
  count_into(user, batch, chosen)
  one_is_new = note_hidden(keys[5], user, batch, chosen) or one_is_new
  if #touching > 0 then
    remember_recent(keys[2], batch, touching, last_ts, length)
    one_is_new = note_seen(keys[3], keys[9], touched) or one_is_new
  end
  like_genres(keys[4], genres, batch, liked, last_ts or batch.ts[chosen[1]], user.last_ts, half_life)
  return one_is_new
end

-- The newest time of what is left: of the history, and of the decisions about items.
local function newest_left(keys, user)
  if n_events(user) == 0 then return 0 end
  local entry, newest = redis.call('LINDEX', keys[2], 0), -1
  if entry then newest = cjson.decode(entry)[2] end
  local hidden = redis.call('HGETALL', keys[5])
  for n = 2, #hidden, 2 do newest = math.max(newest, read_decisions(hidden[n])[1][2]) end
  return newest >= 0 and newest or user.last_ts -- where as much was taken back as the history is long
end

-- Take the weight of an event out of the genres of its item, and bring all of them back to the newest time that is left.
local function unlike_genres(key, values, user, batch, i, likes, before, half_life)
  local weight = likes and batch.weight[i] * 2 ^ ((batch.ts[i] - before) / half_life) or 0
  local of_item = {}
  for _, genre in ipairs(batch.genres[i]) do of_item[genre] = (of_item[genre] or 0) + weight end
  local fields, gone = {}, {}
  for genre, value in pairs(values) do
    local rest = value - (of_item[genre] or 0)
    local brought_back = rest * 2 ^ ((before - user.last_ts) / half_life)
    local is_finite = brought_back < math.huge -- no number is, where it had decayed to 0 in a thousand half-lives
    if n_events(user) == 0 or rest <= value * GENRE_REST or not is_finite then
      gone[#gone + 1] = genre
    else
      fields[#fields + 1] = genre
      fields[#fields + 1] = string.format('%.12g', brought_back)
    end
  end
  for n = 1, #fields, 2 do values[fields[n]] = tonumber(fields[n + 1]) end
  for _, genre in ipairs(gone) do values[genre] = nil end
  call_in_chunks('HSET', key, fields)
  call_in_chunks('HDEL', key, gone)
end

-- Take the event of a withdrawal back: batch holds that event in the withdrawal's place.
local function withdraw_event(keys, user, genres, batch, i, likes, half_life)
  count_one(user, batch, i, -1)
  user.withdrawn = user.withdrawn + 1
  if batch.effect[i] ~= '' then
    withdraw_decision(keys[5], user, batch.item[i], batch.effect[i], batch.ts[i])
  else
    redis.call('LREM', keys[2], 1, batch.entry[i] .. (likes and ',true]' or ',false]'))
    withdraw_seen(keys[3], keys[9], batch.item[i])
  end
  local before = user.last_ts
  if batch.ts[i] >= before or n_events(user) == 0 then user.last_ts = newest_left(keys, user) end
  unlike_genres(keys[4], genres, user, batch, i, likes, before, half_life)
end

-- args: 1 known servers, 2 recent length, 3 entries returned, 4 event ids remembered, 5 half-life of genres in ms,
-- 6 idle ms before a user is forgotten (0 never), 7 JSON of columns:
-- {positions = {field, ...}, guard, least (see hidden_loss), and for each event: position, offset, score, id, source
-- (watch, rate or action), kind, effect (hide, unhide or empty), item, ts, stars, weight, positive (false where it is not,
-- whatever the user's other ratings), entry (its JSON without the last field, whether it is positive, and without the
-- bracket), genres; and where any is a withdrawal: withdraws (an event id, or empty), taken (the score of the event that
-- it takes back, -1 where none is known) and readable (false where nobody holds that event any more), and what the other
-- columns then tell is of that event}
-- keys: the user's nine, then the positions of the partitions that guard them
-- The error LOOKAGAIN names withdrawals, from 0, and the scores of their events: nothing was written, and the caller is to
-- call again with these.
local function apply(keys, args)
  local refused = refusal(args[1])
  if refused then return refused end
  local length, returned, remembered, half_life =
    tonumber(args[2]), tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  local batch = cjson.decode(args[7])
  refused = hidden_loss(keys, N_USER_KEYS, batch)
  if refused then return refused end
  local user, at = read_user(keys[1], batch.positions)
  local genres = read_genres(keys[4])
  local is_new, moved = advance(batch, at)
  local verdicts, fresh, chosen, one_is_new = judge(keys, batch, is_new, remembered, user)
  if not verdicts then return fresh end
  local before, adding = n_kinds(user, genres), {}
  for _, i in ipairs(chosen) do
    if is_withdrawal(batch, i) then
      one_is_new = add_events(keys, user, genres, batch, adding, verdicts, length, half_life) or one_is_new
      adding = {}
      withdraw_event(keys, user, genres, batch, i, verdicts[i] % COUNTS >= POSITIVE, half_life)
    else
      adding[#adding + 1] = i
    end
  end
  one_is_new = add_events(keys, user, genres, batch, adding, verdicts, length, half_life) or one_is_new
  if moved then
    begin_user(user, batch, is_new)
    write_user(keys[1], user, batch.positions, at)
    -- keys that a withdrawal has emptied are made anew without an expiry
    renew_expiry(keys, args[6], user, one_is_new or n_kinds(user, genres) > before or user.withdrawn > 0)
  end
  return render(keys, user, genres, table.concat(verdicts), fresh, returned)
end

-- args: 1 entries returned
local function read(keys, args)
  local user = read_user(keys[1], {})
  return render(keys, user, read_genres(keys[4]), '', '', tonumber(args[1]))
end

-- Put a user's list in place unless a newer one is there, and the mode it was published in with it. What the user was
-- shown is put in place with a newer list alone: one that is stored again was counted before.
-- A guest who was merged into an account gets no list; an account may have the events of its guests alone. Nor does a
-- list take its place that was made for who was forgotten since and has come back.
-- keys: 1 profile, 2 recs, 3 guests, 4 merged   args: 1 sequence, 2 mode, 3 list, 4 idle ms before it is forgotten
-- (0 never), 5 impressions as JSON (empty to leave them), 6 what the user began with, as the list
-- saw it
local function store_list(keys, args)
  local of_user = redis.call('HMGET', keys[1], 'list_sequence', 'last_ts', 'began')
  local stored = tonumber(of_user[1] or -1)
  if tonumber(args[1]) < stored or redis.call('EXISTS', keys[4]) == 1 then return 0 end
  if not of_user[2] and redis.call('EXISTS', keys[3]) == 0 then return 0 end
  for word in string.gmatch(args[6] or '', '%S+') do
    if not string.find(' ' .. (of_user[3] or '') .. ' ', ' ' .. word .. ' ', 1, true) then return 0 end
  end
  redis.call('HSET', keys[1], 'mode', args[2], 'list_sequence', args[1])
  if not of_user[2] and args[4] ~= '0' then redis.call('PEXPIRE', keys[1], args[4]) end
  if args[5] ~= '' and tonumber(args[1]) > stored then redis.call('HSET', keys[1], 'impressions', args[5]) end
  if args[4] == '0' then
    redis.call('SET', keys[2], args[3])
  else
    redis.call('SET', keys[2], args[3], 'PX', args[4])
  end
  return 1
end

-- Put another text in the place of a user's list, if it still is the one that is expected; it is kept as long as that.
-- keys: 1 recs   args: 1 expected list, 2 list
local function amend_list(keys, args)
  if redis.call('GET', keys[1]) ~= args[1] then return 0 end
  redis.call('SET', keys[1], args[2], 'KEEPTTL')
  return 1
end

-- Delete what is kept of a user, unless this server may hold less than the caller has seen applied.
-- keys: those of the user to delete   args: 1 known servers
local function remove_user(keys, args)
  return refusal(args[1]) or redis.call('DEL', unpack(keys))
end

-- items --------------------------------------------------------------------------------------------------------

-- Trending decays with the own time of each topic of a partition, a clock that no few events can move far. An event near
-- the newest time counts as of its time. One that is further away than FAR half-lives, because a clock is wrong or an old
-- log is replayed, counts as of now if it is ahead and as of its time if it is behind, but as no older than OLDEST; it
-- moves no clock but the other one, which follows such events. Once that one is the warmer (it has the more events,
-- decayed), both change places, and own time goes on from there. A topic's order within its partition is always the same, so own time is too.
local function tick(clock, ts)
  local far = FAR * clock.half_life
  if not clock.newest then
    clock.newest, clock.own, clock.warm, clock.other, clock.other_warm = ts, ts, 0, ts, 0
  end
  local ahead = ts - clock.newest
  if math.abs(ahead) <= far then
    if ahead > 0 then
      local decay = 2 ^ (-ahead / clock.half_life)
      clock.newest, clock.own = ts, clock.own + ahead
      clock.warm, clock.other_warm = clock.warm * decay, clock.other_warm * decay
    end
    clock.warm = clock.warm + 1
  else
    local further = ts - clock.other
    if clock.other_warm > 0 and math.abs(further) <= far then
      if further > 0 then
        clock.other, clock.other_warm = ts, clock.other_warm * 2 ^ (-further / clock.half_life)
      end
      clock.other_warm = clock.other_warm + 1
    elseif clock.other_warm > 1 then
      clock.other_warm = clock.other_warm - 1
    else
      clock.other, clock.other_warm = ts, 1
    end
    if clock.other_warm > clock.warm then
      clock.newest, clock.other = clock.other, clock.newest
      clock.warm, clock.other_warm = clock.other_warm, clock.warm
    end
  end
  return clock.own + math.max(-OLDEST * clock.half_life, math.min(0, ts - clock.newest))
end

-- Forward decay (Cormode, Shkapenyuk, Srivastava and Xu 2009, "Forward decay: a practical time decay model for
-- streaming systems"): an event at own time t adds heat * 2^((t - landmark) / half_life) for good, and a reader divides
-- by 2^((own - landmark) / half_life). A new landmark only rescales, so the order of the items never depends on it.
local function move_landmark(clock, hot, newcomers)
  for key, half_life in pairs({[hot] = clock.half_life, [newcomers] = clock.newcomers_half_life}) do
    redis.call('ZUNIONSTORE', key, 1, key, 'WEIGHTS', text(2 ^ ((clock.landmark - clock.own) / half_life)))
    redis.call('ZREMRANGEBYSCORE', key, 0, FORGOTTEN)
  end
  clock.landmark = clock.own
end

local CLOCK = {'newest_ts', 'own_ts', 'warm', 'other_ts', 'other_warm', 'landmark', 'half_life_ms', 'newcomers_half_life_ms'}

-- The clock of a topic of a partition, as it was left, with these half-lives from now on.
local function read_clock(key, hot, newcomers, half_life, newcomers_half_life)
  local stored = redis.call('HMGET', key, unpack(CLOCK))
  local values = {}
  for n = 1, #CLOCK do values[n] = tonumber(stored[n] or nil) end
  local clock = {
    newest = values[1], own = values[2], warm = values[3], other = values[4], other_warm = values[5],
    landmark = values[6], half_life = values[7], newcomers_half_life = values[8],
  }
  local changed = clock.half_life ~= half_life or clock.newcomers_half_life ~= newcomers_half_life
  if clock.landmark and changed then move_landmark(clock, hot, newcomers) end
  clock.half_life, clock.newcomers_half_life = half_life, newcomers_half_life
  return clock
end

local function write_clock(key, clock)
  local values = {
    clock.newest, clock.own, clock.warm, clock.other, clock.other_warm,
    clock.landmark, clock.half_life, clock.newcomers_half_life,
  }
  local fields = {}
  for n, name in ipairs(CLOCK) do
    fields[2 * n - 1] = name
    fields[2 * n] = text(values[n])
  end
  redis.call('HSET', key, unpack(fields))
end

local function increase(increments, item, by)
  increments[item] = (increments[item] or 0) + by
end

-- Add to the fields of a hash; one that comes to nothing, as what it counted was taken back, goes.
local function add_to_hash(key, increments)
  local items, fields, gone = {}, {}, {}
  for item in pairs(increments) do items[#items + 1] = item end
  for first = 1, #items, CHUNK do
    local last = math.min(first + CHUNK - 1, #items)
    local stored = redis.call('HMGET', key, unpack(items, first, last))
    for i = first, last do
      local value = tonumber(stored[i - first + 1] or 0) + increments[items[i]]
      if math.abs(value) < ROUNDING then
        gone[#gone + 1] = items[i]
      else
        fields[#fields + 1] = items[i]
        fields[#fields + 1] = text(value)
      end
    end
  end
  call_in_chunks('HSET', key, fields)
  call_in_chunks('HDEL', key, gone)
end

-- Add to the scores of a zset, of which taken says how much was taken back; a member of which only rounding is left goes.
local function add_to_zset(key, increments, taken)
  local items, fields, stored, gone = {}, {}, {}, {}
  for item in pairs(increments) do items[#items + 1] = item end
  scores_of(key, items, stored)
  for _, item in ipairs(items) do
    local score = (stored[item] or 0) + increments[item]
    if taken[item] and score < taken[item] * HEAT_REST then
      gone[#gone + 1] = item
    else
      fields[#fields + 1] = string.format('%.17g', score)
      fields[#fields + 1] = item
    end
  end
  call_in_chunks('ZADD', key, fields)
  call_in_chunks('ZREM', key, gone)
end

-- Whether the numbered event is one that a withdrawal takes back.
local function is_taken_back(batch, i)
  return batch.takes_back ~= nil and batch.takes_back[i]
end

-- Add the events numbered in chosen to the counters, and take those out that were taken back.
local function add_items(keys, batch, chosen)
  local watches, ratings, rating_sum, actions = {}, {}, {}, {}
  for _, i in ipairs(chosen) do
    local item, sign = batch.item[i], is_taken_back(batch, i) and -1 or 1
    if batch.source[i] == 'watch' then
      increase(watches, item, sign)
    elseif batch.source[i] == 'rate' then
      increase(ratings, item, sign)
      increase(rating_sum, item, sign * batch.stars[i])
    else
      increase(actions, item, sign)
    end
  end
  add_to_hash(keys[2], watches)
  add_to_hash(keys[3], ratings)
  add_to_hash(keys[4], rating_sum)
  add_to_hash(keys[5], actions)
end

-- Add the heat of the events numbered in chosen, all of one topic, to trending, and that of newcomers to theirs too.
-- An event that is taken back loses what it counts by the present hand of the clock: what it has added, unless it was far
-- off, or the hands have changed places since. The clock has ticked with it, and stays.
local function add_heat(batch, chosen, clock_key, hot_key, newcomers_key, half_life, newcomers_half_life)
  local clock = read_clock(clock_key, hot_key, newcomers_key, half_life, newcomers_half_life)
  local own = {}
  for n, i in ipairs(chosen) do
    if is_taken_back(batch, i) then
      own[n] = clock.own + math.min(0, batch.ts[i] - clock.newest)
    else
      own[n] = tick(clock, batch.ts[i])
    end
  end
  clock.landmark = clock.landmark or clock.own
  if clock.own - clock.landmark > HIGHEST_EXPONENT * math.min(half_life, newcomers_half_life) then
    move_landmark(clock, hot_key, newcomers_key)
  end
  local hot, newcomers, hot_taken, newcomers_taken = {}, {}, {}, {}
  local function add(sums, taken, i, heat)
    local item, takes_back = batch.item[i], is_taken_back(batch, i)
    increase(sums, item, takes_back and -heat or heat)
    if takes_back then increase(taken, item, heat) end
  end
  for n, i in ipairs(chosen) do
    local heat, age = batch.heat[i], own[n] - clock.landmark
    if heat > 0 then
      add(hot, hot_taken, i, heat * 2 ^ (age / half_life))
      if batch.newcomers[i] then add(newcomers, newcomers_taken, i, heat * 2 ^ (age / newcomers_half_life)) end
    end
  end
  add_to_zset(hot_key, hot, hot_taken)
  add_to_zset(newcomers_key, newcomers, newcomers_taken)
  write_clock(clock_key, clock)
end

-- For each position a mark, moved to where it stands now once it is SAFE_MS old, and then the mark before it is safe:
-- the position of at least SAFE_MS ago. Returns the fields to write, by position `at:t:0` they are `mark:t:0`,
-- `marked:t:0` (ms) and `safe:t:0`.
local function keep_safe_positions(key, positions)
  local now, fields = now_ms(), {}
  for _, position in ipairs(positions) do
    local name = string.sub(position, 3)
    local stored = redis.call('HMGET', key, position, 'mark' .. name, 'marked' .. name)
    if now - (tonumber(stored[3]) or 0) >= SAFE_MS then
      local moved = {'safe' .. name, stored[2] or '-1', 'mark' .. name, stored[1] or '-1', 'marked' .. name, text(now)}
      for _, field in ipairs(moved) do fields[#fields + 1] = field end
    end
  end
  return fields
end

-- keys: 1 at, 2 watches, 3 ratings, 4 rating_sum, 5 actions, and for each position three: clock, hot, newcomers
-- args: 1 known servers, 2 half-life of hot in ms, 3 of newcomers, 4 JSON of columns:
-- {positions = {field, ...}, least = {offset, ...} where each position must be,
-- and for each event: position, offset, counted, source, item, ts, stars, heat (0 of one that is not positive), newcomers;
-- and where any is a withdrawal: takes_back, and what the other columns then tell is of the event that it takes back}
-- Returns how many events changed something now.
local function count_items(keys, args)
  local refused = refusal(args[1])
  if refused then return refused end
  local half_life, newcomers_half_life, batch = tonumber(args[2]), tonumber(args[3]), cjson.decode(args[4])
  local stored = redis.call('HMGET', keys[1], 'server', unpack(batch.positions))
  local at, chosen, chosen_of = {}, {}, {}
  for i, position in ipairs(batch.positions) do
    at[i], chosen_of[i] = tonumber(stored[1 + i] or -1), {}
    if at[i] < batch.least[i] then return lost(position, at[i], batch.least[i]) end
  end
  if stored[1] ~= this_server() then redis.call('HSET', keys[1], 'server', this_server()) end
  local is_new, moved = advance(batch, at)
  for i, counts in ipairs(batch.counted) do
    if is_new[i] and counts then
      local of_topic = chosen_of[batch.position[i]]
      chosen[#chosen + 1], of_topic[#of_topic + 1] = i, i
    end
  end
  if #chosen > 0 then add_items(keys, batch, chosen) end
  for position, of_topic in ipairs(chosen_of) do
    local first = 5 + 3 * (position - 1)
    if #of_topic > 0 then
      add_heat(batch, of_topic, keys[first + 1], keys[first + 2], keys[first + 3], half_life, newcomers_half_life)
    end
  end
  if not moved then return 0 end
  local fields = keep_safe_positions(keys[1], batch.positions)
  for i, position in ipairs(batch.positions) do
    fields[#fields + 1] = position
    fields[#fields + 1] = text(at[i])
  end
  redis.call('HSET', keys[1], unpack(fields))
  return #chosen
end

-- Note how far topics of a partition are handled, also where its last records were bad and moved no position.
-- keys: 1 at   args: 1 known servers, and for each topic: position, offset where it must be, field, offset behind the
-- last record that was handled
local function note_handled(keys, args)
  local refused = refusal(args[1])
  if refused then return refused end
  for i = 2, #args, 4 do
    local position, least, field, handled = unpack(args, i, i + 3)
    local stored = redis.call('HMGET', keys[1], position, field)
    local at = tonumber(stored[1] or -1)
    if at < tonumber(least) then return lost(position, at, tonumber(least)) end
    if tonumber(handled) > tonumber(stored[2] or 0) then redis.call('HSET', keys[1], field, handled) end
  end
  return 1
end

-- The hottest items of a topic of a partition, for all and for newcomers, and its clock, read at one moment.
-- keys: 1 clock, 2 hot, 3 newcomers   args: 1 how many
local function read_hot(keys, args)
  local last = tonumber(args[1]) - 1
  return {
    redis.call('HMGET', keys[1], unpack(CLOCK)),
    redis.call('ZRANGE', keys[2], 0, last, 'REV', 'WITHSCORES'),
    redis.call('ZRANGE', keys[3], 0, last, 'REV', 'WITHSCORES'),
  }
end

-- keys: 1 zset   args: score, member, score, member, ...
local function replace_zset(keys, args)
  redis.call('DEL', keys[1])
  call_in_chunks('ZADD', keys[1], args)
  return #args / 2
end

-- Put a value into a field, or remove the field where the value is empty.
local function set_or_remove(key, field, value)
  if value == '' then
    redis.call('HDEL', key, field)
  else
    redis.call('HSET', key, field, value)
  end
end

-- Let workers follow another model, if the one that is expected serves; also 1 where that was done before. What is to be
-- announced of it, and what it is measured by, rest beside the pointer, in place of those of the model before.
-- keys: 1 pointer
-- args: 1 expected version ('' for none, '*' for any, '-' for no pointer at all), 2 version ('' for none), 3 uri,
-- 4 promoted_at, 5 expected promoted_at ('' any), 6 what is to be announced ('' for nothing), 7 standing ('' for none)
local function move_model(keys, args)
  local version, promoted_at = unpack(redis.call('HMGET', keys[1], 'version', 'promoted_at'))
  if version == args[2] and promoted_at == args[4] then return 1 end
  if args[1] == '-' and promoted_at then return 0 end
  if args[1] ~= '*' and args[1] ~= '-' and (version or '') ~= args[1] then return 0 end
  if args[5] ~= '' and promoted_at ~= args[5] then return 0 end
  redis.call('HSET', keys[1], 'version', args[2], 'uri', args[3], 'promoted_at', args[4])
  set_or_remove(keys[1], 'announcing', args[6])
  set_or_remove(keys[1], 'standing', args[7])
  return 1
end

-- Replace what a model is measured by, if it still serves since then.
-- keys: 1 pointer   args: 1 version, 2 promoted_at, 3 standing
local function model_measured(keys, args)
  local version, promoted_at = unpack(redis.call('HMGET', keys[1], 'version', 'promoted_at'))
  if version ~= args[1] or promoted_at ~= args[2] then return 0 end
  redis.call('HSET', keys[1], 'standing', args[3])
  return 1
end

-- Forget what was to be announced of a model, if it still serves since then.
-- keys: 1 pointer   args: 1 version, 2 promoted_at
local function model_announced(keys, args)
  local version, promoted_at = unpack(redis.call('HMGET', keys[1], 'version', 'promoted_at'))
  if version ~= args[1] or promoted_at ~= args[2] then return 0 end
  return redis.call('HDEL', keys[1], 'announcing')
end

redis.register_function('reelstream_v9_apply', apply)
redis.register_function('reelstream_v9_move_model', move_model)
redis.register_function('reelstream_v9_model_announced', model_announced)
redis.register_function('reelstream_v9_model_measured', model_measured)
redis.register_function('reelstream_v9_store_list', store_list)
redis.register_function('reelstream_v9_amend_list', amend_list)
redis.register_function{function_name = 'reelstream_v9_remove_user', callback = remove_user, flags = {'allow-oom'}}
redis.register_function('reelstream_v9_count_items', count_items)
redis.register_function('reelstream_v9_note_handled', note_handled)
redis.register_function('reelstream_v9_replace_zset', replace_zset)
redis.register_function{function_name = 'reelstream_v9_read', callback = read, flags = {'no-writes'}}
redis.register_function{function_name = 'reelstream_v9_read_hot', callback = read_hot, flags = {'no-writes'}}
