with sightings as (
    {{ sightings_of(
        'demo', 'crm_members', 'profile_id', 'registered_at', 'updated_at',
        {
            'customer_id': 'member_id',
            'login': 'login',
            'loyalty_card': 'loyalty_card',
            'email': 'email',
            'phone': 'phone',
        }
    ) }}
    union all
    {{ sightings_of(
        'demo', 'web_orders', 'order_id', 'ordered_at', 'ordered_at',
        {'login': 'login', 'email': 'email', 'phone': 'phone', 'cookie': 'cookie'}
    ) }}
    union all
    {{ sightings_of(
        'demo', 'receipts', 'receipt_id', 'sold_at', 'sold_at',
        {'loyalty_card': 'loyalty_card', 'phone': 'phone'}
    ) }}
    union all
    {{ sightings_of(
        'demo', 'web_events', 'event_id', 'occurred_at', 'occurred_at',
        {'login': 'login', 'cookie': 'cookie'}
    ) }}
    union all
    {{ sightings_of(
        'demo', 'app_events', 'event_id', 'occurred_at', 'occurred_at',
        {'login': 'login', 'device': 'device'}
    ) }}
    union all
    {{ sightings_of(
        'demo', 'email_events', 'message_id', 'occurred_at', 'occurred_at',
        {'email': 'email'}
    ) }}
    union all
    {{ sightings_of(
        'demo', 'push_events', 'message_id', 'occurred_at', 'occurred_at',
        {'device': 'device'}
    ) }}
    union all
    {{ sightings_of(
        'demo', 'support_conversations', 'conversation_id', 'opened_at', 'opened_at',
        {'email': 'email', 'phone': 'phone'}
    ) }}
    union all
    {{ sightings_of(
        'demo', 'reviews', 'review_id', 'written_at', 'written_at',
        {'login': 'login'}
    ) }}
    union all
    {{ sightings_of(
        'demo', 'survey_answers', 'answer_id', 'answered_at', 'answered_at',
        {'email': 'email'}
    ) }}
    union all
    {{ sightings_of(
        'demo', 'consents', 'consent_id', 'occurred_at', 'occurred_at',
        {'email': 'email', 'phone': 'phone', 'login': 'login'}
    ) }}
)

select
    source,
    entity,
    record_id,
    record_count,
    first_seen_at,
    last_seen_at,
    customer_id,
    login,
    loyalty_card,
    email,
    phone,
    device,
    cookie
from sightings
